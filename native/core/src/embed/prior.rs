//! How common a word is in technical English anywhere: what is known without a collection.

use std::sync::LazyLock;

use super::text::word_hash;

/// Word families by how rare they are: those of the first list stand in about every
/// second paragraph of documentation (manual pages, read-me files, comments of source code), and
/// those of each further list in half as many.
///
/// The lists are part of the embedder's version: another list makes other vectors.
const COMMON: [&str; 7] = [
    "the to",
    "and be for if in is of that this",
    "an are as by can from it not on or use will with",
    "all any at but default file may name new no one only returns see set string type used value \
     when which you",
    "also argument build bytes call case class code command data do does each error example files \
     first function get given has have input instead into io its let like line list match method \
     module more must note number object option other package path result return run same should \
     so some specified test than then there these they time true using values version was we \
     where without your",
    "about above access add after always api arguments array assert attribute available based \
     because been before behavior being between binary bit both byte called change character \
     characters check configuration contains context create current defaults defined details \
     different directly directory docs documentation either elements empty enabled end entry \
     environment even false feature field flag following format found functions generated go \
     group here how id implementation index information instance item just key length level \
     library location main make map matches memory methods mode most multiple names need next non \
     none now once optional options order otherwise out output over passed pattern point possible \
     process project provide provided provides range read reference request required returned \
     search section self since single size source specific standard start state status stream \
     strings such support supported system table target tests text their them those try two types \
     up useful user uses valid variable via want way what whether while work would write zero",
    "actions added additional address against allow allows already another attributes \
     automatically avoid back base below bits block buffer built calling calls cannot cases \
     changes common compile config contain containing control copy core corresponding could count \
     created currently custom description done element enable encoding entries equivalent err \
     errors etc event every except existing expected features fields find flags form full fully \
     future generate global handle header help however implement implementations implements \
     import include including install integer interface internal items itself keys last least \
     left link local long makes many matching means message might modules named needed network \
     never numbers objects ok open operation operations os our own packages parameter parameters \
     part pass patterns per performance platform please policy prefix present print program \
     property raw regular release remove reports requires resource results right root running \
     runtime second sequence server service sets setting similar simple slice space special \
     specify still style sub supports syntax take takes through tree under unless until update us \
     users vector versions very well were wide width within works written",
];

/// Rarity of a word that stands in no list: one of 2^10 paragraphs or fewer.
const RARITY_UNLISTED: u32 = 10;

/// The lists as (hash, rarity), by hash.
static RARITIES: LazyLock<Vec<(u64, u32)>> = LazyLock::new(|| {
    let mut entries = Vec::new();
    for (rarity, words) in (1..).zip(COMMON) {
        entries.extend(
            words
                .split_whitespace()
                .map(|word| (word_hash(word), rarity)),
        );
    }
    // Of the words of one stem the most common one counts.
    entries.sort_unstable();
    entries.dedup_by_key(|entry| entry.0);
    entries
});

/// How rare a word is: it stands in about one of 2^rarity documents.
pub(super) fn rarity(hash: u64) -> u32 {
    let entries = &*RARITIES;
    match entries.binary_search_by_key(&hash, |entry| entry.0) {
        Ok(place) => entries.get(place).map_or(RARITY_UNLISTED, |entry| entry.1),
        Err(_) => RARITY_UNLISTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words_and_their_inflections_are_listed() {
        assert_eq!(rarity(word_hash("the")), 1);
        assert_eq!(rarity(word_hash("file")), rarity(word_hash("files")));
        assert!(rarity(word_hash("file")) < rarity(word_hash("library")));
        assert_eq!(rarity(word_hash("kubernetes")), RARITY_UNLISTED);
    }
}
