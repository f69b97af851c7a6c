//! Words that say nothing of a page: the commonest English ones, what contractions and addresses leave behind, and the little words of
//! other languages where they are not English content words too (`die`, `war` and `plus` stay).

/// Every stop word, in lower case; words that two languages share come twice.
pub(super) fn stop_words() -> impl Iterator<Item = &'static str> {
    STOP_WORDS.iter().flat_map(|words| words.split(' '))
}

const STOP_WORDS: &[&str] = &[
    // English, but for `us`, which is a country more often. A list twice as long was tried: no better on stories, worse on links.
    "about all am an and any are as at be been but by can could did do does for from had has have he her his how if in into is it its",
    "me my no not of on or our she so than that the their them then there these they this to up was we were what when which who",
    "will with would you your",
    // What contractions, addresses and broken entities leave behind.
    "didn doesn don isn ll re ve com http https www nbsp quot",
    // French, Spanish, Portuguese, Italian, Romanian.
    "au aux avec de des du en est et la le les nous par pour que qui sur un une vous dans",
    "como con de del el en es esta este la las los más no para por que se sus un una",
    "com como da de do dos em na no nos para por que se um uma",
    "alla che con da dei del della di gli il in la le nel non per più sono un una",
    "ale cu de din este la pe pentru și un",
    // German, Dutch, Danish, Norwegian, Swedish.
    "als auf bei das dem den der des ein eine einen für ich im in ist mit nach nicht sich sie sind und über um von wir wird zu zum zur",
    "aan als bij dat de een en het hoe in is met naar niet op te van voor zijn",
    "af at av der det er et ett för med och og på som til",
    // Polish, Czech, Slovak, Slovene, Croatian, Hungarian, Lithuanian.
    "do dla jak jest na nie od po się są to za ze na je pro se ve že za pri so in je na za od se su az és hogy nem egy ir su",
    // Turkish, Indonesian, Vietnamese.
    "bir bu çok da de için ile ve",
    "atau dan dari dengan di ini itu ke pada untuk yang",
    "các cho của để là này và với",
    // Greek, Russian, Ukrainian, Bulgarian.
    "από για η και με να ο οι σε στην στο τα τη την της το τον του",
    "а в до для его за и из их к как на не но о от по с что чтобы это этого у",
    "від до з за і й на не про та у що або",
    "да е за и на от с се",
    // Arabic, Hebrew, Hindi, Urdu.
    "إلى على عن في من",
    "את של על לא זה",
    "और का की के को पर में से है हैं",
    "کے کی میں ہے",
    // Japanese, as pairs.
    "から こと した して する です とは ない ます まで いる",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::tokens::Tokenizer;

    #[test]
    fn stop_words_are_words_in_lower_case() {
        for stop in stop_words() {
            let mut found = Vec::new();
            Tokenizer::default().words(stop, |word| found.push(word.to_owned()));
            // A lone ASCII letter is never a word.
            assert_eq!(found, [stop], "no word can be that");
        }
        assert!(!stop_words().any(|stop| stop == "war"));
    }
}
