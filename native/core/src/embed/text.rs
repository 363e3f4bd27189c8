//! Words of a text: folded letters, parts of identifiers, characters of scripts without spaces.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::stem::stem;

/// Letters that are kept of one word; the rest of a longer one is passed over.
const WORD_LETTERS_MAX: usize = 64;
/// Parts of an identifier that is also kept whole.
const WHOLE_PARTS_MAX: usize = 5;
const WORD_SEED: u64 = 1;
const GRAM_SEED: u64 = 2;
/// Letters in an n-gram; a word's beginning and end count as one each.
const GRAM_LETTERS: usize = 3;
const WORD_BEGIN: char = '^';
const WORD_END: char = '$';

/// What a word is, which says how much one occurrence of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, or one part of an identifier or a hyphenated word.
    Part,
    /// All parts of an identifier without what joins them.
    Whole,
    /// Two neighbours in a script without spaces.
    Pair,
    /// One character of a script without spaces, or of a text without any word.
    Character,
}

/// One occurrence of a word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// Hash of the stem.
    pub(super) hash: u64,
    pub(super) kind: Kind,
    /// How many words stand before it.
    pub(super) position: usize,
    start: usize,
    end: usize,
}

/// All words of one text, in its order.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Folded words, each between its begin and end marks.
    letters: String,
    pub(super) list: Vec<Word>,
}

impl Words {
    /// The words of a text; of a text without any, its visible characters.
    pub(super) fn read(text: &str) -> Self {
        let mut reader = Reader::default();
        for character in text.chars() {
            reader.take_folded(character);
        }
        reader.close_compound();
        let mut words = reader.words;
        if words.list.is_empty() {
            for character in text
                .chars()
                .filter(|c| !c.is_whitespace() && !c.is_control())
            {
                words.push_characters(&[character], Kind::Character, 0);
            }
        }
        words
    }

    /// The hash of each word once, rising.
    pub(super) fn distinct(&self) -> Vec<u64> {
        let mut hashes: Vec<u64> = self.list.iter().map(|word| word.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    /// A word's folded letters.
    pub(super) fn letters(&self, word: &Word) -> &str {
        let marked = self.marked(word);
        marked
            .get(1..marked.len().saturating_sub(1))
            .unwrap_or_default()
    }

    /// Hashes of a word's n-grams, of which a misspelt or compounded word still has most.
    pub(super) fn grams(&self, word: &Word, hashes: &mut Vec<u64>) {
        hashes.clear();
        if !matches!(word.kind, Kind::Part | Kind::Whole) {
            return;
        }
        let marked = self.marked(word);
        let starts = marked.char_indices().map(|(place, _)| place);
        let ends = marked.char_indices().map(|(place, c)| place + c.len_utf8());
        // A gram is shorter than its word: the word itself is a feature already.
        let grams = starts
            .zip(ends.skip(GRAM_LETTERS - 1))
            .filter(|(s, e)| e - s < marked.len());
        hashes.extend(grams.filter_map(|(start, end)| {
            Some(xxh3_64_with_seed(
                marked.get(start..end)?.as_bytes(),
                GRAM_SEED,
            ))
        }));
    }

    fn marked(&self, word: &Word) -> &str {
        self.letters.get(word.start..word.end).unwrap_or_default()
    }

    fn push_characters(&mut self, characters: &[char], kind: Kind, position: usize) {
        let start = self.letters.len();
        self.letters.push(WORD_BEGIN);
        self.letters.extend(characters);
        self.push_open(start, kind, position);
    }

    /// Ends the word whose begin mark stands at `start`.
    fn push_open(&mut self, start: usize, kind: Kind, position: usize) {
        let hash = word_hash(self.letters.get(start + 1..).unwrap_or_default());
        self.letters.push(WORD_END);
        self.list.push(Word {
            hash,
            kind,
            position,
            start,
            end: self.letters.len(),
        });
    }
}

/// The hash under which a folded word is counted and placed.
pub(super) fn word_hash(word: &str) -> u64 {
    xxh3_64_with_seed(stem(word).as_bytes(), WORD_SEED)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
    Digit,
}

/// The part of a word that is being read.
#[derive(Clone, Copy)]
struct Part {
    start: usize,
    letters: usize,
    before: Option<Case>,
    last: Case,
}

/// Cuts a text into words, one folded character at a time.
#[derive(Default)]
struct Reader {
    words: Words,
    part: Option<Part>,
    /// A character after a part that joins it to the next one if a letter follows at once.
    joiner: Option<char>,
    /// Words in the list when the compound of the open part began.
    compound: usize,
    /// The part follows an apostrophe, so one or two letters are an ending.
    elided: bool,
    ideograph: Option<char>,
    position: usize,
}

impl Reader {
    /// Takes a character in its compatibility decomposition (full width, ligatures, accents).
    fn take_folded(&mut self, character: char) {
        if character.is_ascii() {
            self.take(character);
        } else {
            decompose_compatible(character, |folded| self.take(folded));
        }
    }

    fn take(&mut self, character: char) {
        match character {
            _ if character.is_ascii_alphanumeric() => self.take_letter(character),
            _ if character.is_ascii() => self.take_other(character),
            _ if is_invisible(character) => {}
            _ if !character.is_alphanumeric() && !is_combining_mark(character) => {
                self.take_other(character);
            }
            _ if is_unspaced(character) => self.take_ideograph(character),
            // A mark without a letter before it makes no word.
            _ if !character.is_alphanumeric() && self.part.is_none() => {}
            _ => self.take_letter(character),
        }
    }

    fn take_letter(&mut self, character: char) {
        self.ideograph = None;
        match self.joiner.take() {
            None => {}
            Some('\'' | '’') => {
                self.close_compound();
                self.elided = true;
            }
            Some('+') => self.close_compound(),
            Some(_) => self.close_part(),
        }
        let case = match character {
            _ if character.is_uppercase() => Case::Upper,
            _ if character.is_numeric() => Case::Digit,
            _ => Case::Lower,
        };
        self.cut_camel_case(case);
        let mut part = self.part.unwrap_or_else(|| {
            let start = self.words.letters.len();
            self.words.letters.push(WORD_BEGIN);
            Part {
                start,
                letters: 0,
                before: None,
                last: case,
            }
        });
        if part.letters < WORD_LETTERS_MAX {
            for lower in character.to_lowercase().filter(|c| !is_invisible(*c)) {
                self.words
                    .letters
                    .push(if lower == 'ς' { 'σ' } else { lower });
                part.letters += 1;
            }
        }
        part.before = (part.letters > 1).then_some(part.last);
        part.last = case;
        self.part = Some(part);
    }

    /// Cuts "readFile" before F, and "XMLHttp" and "utf8Http" before H.
    fn cut_camel_case(&mut self, case: Case) {
        let Some(part) = self.part else { return };
        if case == Case::Upper && part.last == Case::Lower {
            self.close_part();
        }
        let hump =
            part.last == Case::Upper && matches!(part.before, Some(Case::Upper | Case::Digit));
        if case == Case::Lower && hump && part.letters < WORD_LETTERS_MAX {
            let Some(first) = self.words.letters.pop() else {
                return;
            };
            self.close_part();
            let start = self.words.letters.len();
            self.words.letters.extend([WORD_BEGIN, first]);
            self.part = Some(Part {
                start,
                letters: 1,
                before: None,
                last: Case::Upper,
            });
        }
    }

    fn take_other(&mut self, character: char) {
        self.ideograph = None;
        let suffix = match (character, self.joiner) {
            ('+', Some('+')) => "++",
            ('#', None) if self.part.is_some_and(|part| part.letters == 1) => "#",
            _ => "",
        };
        // C++ and C# are words of their own.
        if self.part.is_some() && !suffix.is_empty() {
            self.words.letters.push_str(suffix);
            self.close_compound();
        } else if self.part.is_some()
            && self.joiner.is_none()
            && matches!(character, '-' | '_' | '\'' | '’' | '‐' | '‑' | '+')
        {
            self.joiner = Some(character);
        } else {
            self.close_compound();
        }
    }

    fn take_ideograph(&mut self, character: char) {
        self.close_compound();
        self.words
            .push_characters(&[character], Kind::Character, self.position);
        if let Some(before) = self.ideograph.replace(character) {
            self.words
                .push_characters(&[before, character], Kind::Pair, self.position);
        }
        self.position += 1;
        self.compound = self.words.list.len();
    }

    fn close_part(&mut self) {
        let Some(part) = self.part.take() else { return };
        if std::mem::take(&mut self.elided) && part.letters <= 2 {
            self.words.letters.truncate(part.start);
            return;
        }
        self.words.push_open(part.start, Kind::Part, self.position);
        self.position += 1;
    }

    /// Ends an identifier or hyphenated word, and adds it whole if it has a few parts.
    fn close_compound(&mut self) {
        self.joiner = None;
        self.close_part();
        let parts = self.words.list.get(self.compound..).unwrap_or_default();
        if (2..=WHOLE_PARTS_MAX).contains(&parts.len()) {
            let whole: Vec<char> = parts
                .iter()
                .flat_map(|part| self.words.letters(part).chars())
                .collect();
            if whole.len() <= WORD_LETTERS_MAX {
                self.words
                    .push_characters(&whole, Kind::Whole, self.position);
            }
        }
        self.compound = self.words.list.len();
    }
}

/// Accents, variation selectors, soft hyphens, zero-width joiners: as if they were not there.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Scripts that put no spaces between words: Thai to Lao, Myanmar, Khmer, kana, Han.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{e01}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folded words of a text, by kind.
    fn read(text: &str, kind: Kind) -> Vec<String> {
        let words = Words::read(text);
        let list = words.list.iter().filter(|word| word.kind == kind);
        list.map(|word| words.letters(word).to_owned()).collect()
    }

    #[test]
    fn identifiers_are_kept_in_parts_and_whole() {
        let cases = [
            ("readFileSync", "read file sync", "readfilesync"),
            ("read_file_sync", "read file sync", "readfilesync"),
            ("READ_FILE_SYNC", "read file sync", "readfilesync"),
            ("XMLHttpRequest", "xml http request", "xmlhttprequest"),
            ("utf8Decoder", "utf8 decoder", "utf8decoder"),
            ("sha256Sum v2beta", "sha256 sum v2beta", "sha256sum"),
            ("UTF8Decoder", "utf8 decoder", "utf8decoder"),
            ("state-of-the-art", "state of the art", "stateoftheart"),
            ("fs.readFile(path)", "fs read file path", "readfile"),
            ("a-b-c-d-e-f", "a b c d e f", ""),
            ("pre- and post-war", "pre and post war", "postwar"),
            (
                "C++, C# and a+b, x# issue #12",
                "c++ c# and a b x# issue 12",
                "",
            ),
            ("the user's, don't, O'Reilly", "the user don o reilly", ""),
            ("-_- '' ++ ##", "", ""),
        ];
        for (text, parts, whole) in cases {
            let expected: Vec<&str> = parts.split_whitespace().collect();
            if !expected.is_empty() {
                assert_eq!(read(text, Kind::Part), expected, "{text}");
            }
            let expected: Vec<&str> = whole.split_whitespace().collect();
            assert_eq!(read(text, Kind::Whole), expected, "{text}");
        }
    }

    #[test]
    fn forms_of_the_same_letters_are_one() {
        let cases = [
            ("Crème BRÛLÉE", "creme brulee"),
            ("Cre\u{300}me", "creme"),
            ("ＦＵＬＬ　ｗｉｄｔｈ", "full width"),
            ("ﬁle soft\u{ad}ware", "file software"),
            ("ΣΊΣΥΦΟΣ σίσυφος", "σισυφοσ σισυφοσ"),
            ("İstanbul", "istanbul"),
            ("Ёлка", "елка"),
            ("हिन्दी भाषा", "हिन्दी भाषा"),
            ("שלום עולם", "שלום עולם"),
            ("❤\u{fe0f} love", "love"),
        ];
        for (text, expected) in cases {
            let expected: Vec<&str> = expected.split_whitespace().collect();
            assert_eq!(read(text, Kind::Part), expected, "{text}");
        }
        assert_eq!(
            read("한글", Kind::Part),
            read("\u{1112}\u{1161}\u{11ab}글", Kind::Part)
        );
    }

    #[test]
    fn scripts_without_spaces_are_read_in_pairs() {
        assert_eq!(
            read("向量数据库, DB", Kind::Pair),
            ["向量", "量数", "数据", "据库"]
        );
        assert_eq!(read("向量 库", Kind::Character), ["向", "量", "库"]);
        assert_eq!(read("向量数据库DB", Kind::Part), ["db"]);
        assert_eq!(read("ｶﾞ", Kind::Pair), read("ガ", Kind::Pair));
    }

    #[test]
    fn a_text_without_words_is_its_characters() {
        assert_eq!(read(" ->\n🦀", Kind::Character), ["-", ">", "🦀"]);
        assert!(Words::read(" \t\0\n").list.is_empty());
    }

    #[test]
    fn a_word_is_cut_at_its_longest() {
        let long = "é".repeat(1000);
        assert_eq!(read(&long, Kind::Part), ["e".repeat(WORD_LETTERS_MAX)]);
        let mixed = format!("{}Bcd", "A".repeat(1000));
        assert_eq!(read(&mixed, Kind::Part), ["a".repeat(WORD_LETTERS_MAX)]);
    }

    #[test]
    fn grams_overlap_where_words_do() {
        let grams = |text: &str| {
            let words = Words::read(text);
            let mut hashes = Vec::new();
            words.grams(&words.list[0], &mut hashes);
            hashes
        };
        assert!(grams("a").is_empty());
        assert_eq!(grams("at").len(), 2);
        let (right, wrong) = (grams("compression"), grams("compresion"));
        assert_eq!((right.len(), wrong.len()), (11, 10));
        assert!(wrong.iter().filter(|hash| right.contains(hash)).count() >= 8);
    }
}
