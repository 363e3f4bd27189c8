//! What reads return, borrowed from wherever the rows stand.

use std::borrow::Cow;
use std::time::Duration;

use crate::error::Result;
use crate::record::Sequence;

/// A record as a read returns it: the parts that `include` asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Record<'a> {
    /// The record's id.
    pub id: Cow<'a, str>,
    /// The batch that last wrote it, what `if_version` compares with; `None` = not told.
    pub version: Option<Sequence>,
    /// The vector, as it was given.
    pub data: Option<Cow<'a, [f32]>>,
    /// The text; `None` also where the record has none.
    pub text: Option<Cow<'a, str>>,
    /// The metadata as compact JSON.
    pub metadata: Option<Cow<'a, [u8]>>,
}

impl Record<'_> {
    /// The same, free of where it was read from.
    pub fn into_owned(self) -> Record<'static> {
        Record {
            id: Cow::Owned(self.id.into_owned()),
            version: self.version,
            data: self.data.map(|data| Cow::Owned(data.into_owned())),
            text: self.text.map(|text| Cow::Owned(text.into_owned())),
            metadata: self.metadata.map(|json| Cow::Owned(json.into_owned())),
        }
    }
}

/// One hit of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Match<'a> {
    /// The record that was found.
    pub record: Record<'a>,
    /// How near it is; larger is nearer.
    pub score: f32,
}

/// What became of one query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult<'a> {
    /// The matches, nearest first, or why there are none.
    pub matches: Result<Vec<Match<'a>>>,
    /// How long the query took.
    pub time: Duration,
}
