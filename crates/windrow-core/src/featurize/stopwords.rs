//! Words that say nothing of a page: about fifty English ones, what contractions leave behind, and the commonest little words of
//! other languages where they are not English content words too (`die`, `war` and `also` stay).

/// Every stop word, in lower case.
pub(super) fn stop_words() -> impl Iterator<Item = &'static str> {
    ENGLISH.iter().chain(OTHERS).copied()
}

const ENGLISH: &[&str] = &[
    "about", "all", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "didn",
    "do", "does", "doesn", "don", "for", "from", "had", "has", "have", "he", "her", "his", "how", "if", "in", "into", "is",
    "isn", "it", "its", "ll", "me", "my", "no", "not", "of", "on", "or", "our", "re", "she", "so", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "to", "up", "us", "ve", "was", "we", "were", "what", "when",
    "which", "who", "will", "with", "would", "you", "your",
];

const OTHERS: &[&str] = &[
    "als",
    "au",
    "auf",
    "aux",
    "avec",
    "bei",
    "che",
    "con",
    "da",
    "dan",
    "das",
    "de",
    "dei",
    "del",
    "della",
    "dem",
    "den",
    "dengan",
    "der",
    "des",
    "di",
    "dos",
    "du",
    "een",
    "ein",
    "eine",
    "einen",
    "el",
    "em",
    "en",
    "es",
    "est",
    "et",
    "für",
    "het",
    "il",
    "im",
    "ist",
    "için",
    "ja",
    "la",
    "las",
    "le",
    "les",
    "los",
    "med",
    "met",
    "mit",
    "na",
    "nicht",
    "och",
    "op",
    "para",
    "por",
    "pour",
    "que",
    "se",
    "się",
    "som",
    "sur",
    "til",
    "um",
    "uma",
    "un",
    "una",
    "und",
    "une",
    "untuk",
    "van",
    "ve",
    "von",
    "voor",
    "yang",
    "zu",
    "zum",
    "zur",
    "για",
    "και",
    "με",
    "να",
    "σε",
    "της",
    "το",
    "του",
    "в",
    "для",
    "за",
    "и",
    "из",
    "к",
    "как",
    "на",
    "не",
    "о",
    "от",
    "по",
    "с",
    "та",
    "у",
    "что",
    "إلى",
    "على",
    "في",
    "من",
    "और",
    "का",
    "की",
    "के",
    "को",
    "में",
    "से",
    "है",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_short() {
        for list in [ENGLISH, OTHERS] {
            let mut sorted = list.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(list, sorted, "keep the list sorted: {sorted:?}");
        }
        assert!(["the", "में"].iter().all(|word| stop_words().any(|stop| stop == *word)));
    }
}
