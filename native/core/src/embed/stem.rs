//! A light English stemmer: what an inflected word shares with its base form.

/// The beginning of a word that its plural, past tense and participle share.
///
/// In the manner of the first steps of Porter, "An algorithm for suffix stripping" (1980), cut
/// down to what is always a prefix of the word, so that no letter is ever put in another's place.
/// Words that are not wholly of ASCII lower-case letters come back whole.
pub(super) fn stem(word: &str) -> &str {
    if word.len() < 4 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word;
    }
    let base = without_participle(without_plural(word));
    if base.len() > 3 && base.ends_with(['e', 'i', 'y']) {
        cut(base, 1)
    } else {
        base
    }
}

fn without_plural(word: &str) -> &str {
    if word.len() > 4 && word.ends_with("ies") {
        return cut(word, 3);
    }
    if ["sses", "xes", "ches", "shes"]
        .iter()
        .any(|ending| word.ends_with(ending))
    {
        return cut(word, 2);
    }
    if ["ss", "us", "is"]
        .iter()
        .any(|ending| word.ends_with(ending))
    {
        return word;
    }
    word.strip_suffix('s').unwrap_or(word)
}

fn without_participle(word: &str) -> &str {
    let Some(base) = word.strip_suffix("ing").or_else(|| word.strip_suffix("ed")) else {
        return word;
    };
    if base.len() < 3 || !base.contains(['a', 'e', 'i', 'o', 'u', 'y']) {
        return word;
    }
    if ends_in_doubled_consonant(base) {
        cut(base, 1)
    } else {
        base
    }
}

/// Whether a consonant was doubled for the suffix ("stopped"); l, s and z double on their own.
fn ends_in_doubled_consonant(base: &str) -> bool {
    match base.as_bytes() {
        [.., before, last] => before == last && !b"aeioulsz".contains(last),
        _ => false,
    }
}

/// The word less its last bytes; the callers know them to be ASCII.
fn cut(word: &str, count: usize) -> &str {
    word.get(..word.len().saturating_sub(count)).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn inflections_share_a_stem() {
        let families: [&[&str]; 8] = [
            &["file", "files", "filed", "filing"],
            &["library", "libraries"],
            &["study", "studies", "studied", "studying"],
            &["stop", "stops", "stopped", "stopping"],
            &["box", "boxes", "boxed"],
            &["match", "matches", "matched", "matching"],
            &["process", "processes", "processed", "processing"],
            &["install", "installs", "installed", "installing"],
        ];
        for family in families {
            let stems: Vec<&str> = family.iter().map(|word| stem(word)).collect();
            assert!(
                stems.iter().all(|each| *each == stems[0]),
                "{family:?} -> {stems:?}"
            );
        }
    }

    #[test]
    fn words_that_only_look_inflected_stay() {
        for word in [
            "status", "class", "this", "bus", "red", "king", "bring", "sing", "gas",
        ] {
            assert_eq!(stem(word), word);
        }
        for word in ["", "s", "es", "ies", "größes", "sha256s", "naïves"] {
            assert_eq!(stem(word), word);
        }
    }
}
