//! Where in a JSON value an error is.

use std::fmt;

/// A JSON pointer (RFC 6901) that lives on the stack of a walk and costs nothing until an error
/// prints it.
pub(crate) struct Pointer<'a> {
    parent: Option<&'a Pointer<'a>>,
    token: Token<'a>,
}

enum Token<'a> {
    Key(&'a str),
    Place(usize),
}

impl<'a> Pointer<'a> {
    /// The place where a walk starts: a field of the request.
    pub(crate) fn root(field: &'a str) -> Self {
        Pointer {
            parent: None,
            token: Token::Key(field),
        }
    }

    /// A member of the object here.
    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Pointer {
            parent: Some(self),
            token: Token::Key(key),
        }
    }

    /// An element of the list here.
    pub(crate) fn place(&'a self, place: usize) -> Self {
        Pointer {
            parent: Some(self),
            token: Token::Place(place),
        }
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(formatter)?;
        }
        match self.token {
            Token::Key(key) => write!(formatter, "/{}", key.replace('~', "~0").replace('/', "~1")),
            Token::Place(place) => write!(formatter, "/{place}"),
        }
    }
}
