//! Which known word a mistyped one was meant to be.

/// The known word that `wanted` most likely stands for; `None` when nothing is near.
///
/// Letter case, `-` and `_` do not count. Then every third letter may be wrong (two neighbours in
/// the wrong order are one mistake), or one word may go on where the other ends (`memory`, `mem`).
pub fn nearest<'k>(wanted: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let wanted = plain(wanted);
    if wanted.is_empty() {
        return None;
    }
    let near = known.into_iter().filter_map(|word| {
        let other = plain(word);
        let strikes = strsim::damerau_levenshtein(&wanted, &other);
        let n_min = wanted.len().min(other.len());
        let goes_on =
            n_min >= PREFIX_MIN && (wanted.starts_with(&other) || other.starts_with(&wanted));
        let strikes_max = (wanted.len().max(other.len()) / 3).min(STRIKES_MAX);
        if strikes <= strikes_max && strikes < n_min {
            Some((strikes, word))
        } else {
            goes_on.then_some((STRIKES_MAX + 1, word))
        }
    });
    near.min_by_key(|(strikes, _)| *strikes).map(|(_, word)| word)
}

/// Shortest beginning that counts as the same word.
const PREFIX_MIN: usize = 3;
/// More mistakes than these make another word, however long it is.
const STRIKES_MAX: usize = 3;

fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_look_alike_are_near() {
        let known = ["cpus", "mem", "instances", "healthChecks", "router_port", "id", "cmd"];
        for (wanted, found) in [
            ("cpu", Some("cpus")),
            ("memory", Some("mem")),
            ("healthcheck", Some("healthChecks")),
            ("ruoter-port", Some("router_port")),
            ("isntances", Some("instances")),
            ("ID", Some("id")),
            ("flavour", None),
            ("ie", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(wanted, known), found, "{wanted}");
        }
    }
}
