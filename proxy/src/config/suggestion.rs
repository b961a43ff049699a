//! Near misses: which name a mistyped one was meant to be.

/// Returns the name closest to `word`, if it is close enough to be a slip: an edit for every three letters begun.
pub(super) fn closest<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let slips = word.chars().count().div_ceil(3);
    names
        .iter()
        .map(|name| (distance(word, name), *name))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Counts the single-letter edits from `a` to `b` (Levenshtein), ignoring case and taking `-` for `_`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = letters(b).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (n, letter) in letters(a).enumerate() {
        row = next_row(&row, n + 1, letter, &b);
    }
    row.last().copied().unwrap_or_default()
}

fn next_row(above: &[usize], first: usize, letter: char, b: &[char]) -> Vec<usize> {
    let mut row = Vec::with_capacity(above.len());
    let mut left = first;
    row.push(left);
    for (pair, other) in above.windows(2).zip(b) {
        let (diagonal, up) = match pair {
            [diagonal, up] => (*diagonal, *up),
            _ => continue,
        };
        left = (diagonal + usize::from(letter != *other))
            .min(up + 1)
            .min(left + 1);
        row.push(left);
    }
    row
}

fn letters(word: &str) -> impl Iterator<Item = char> {
    word.chars().map(|letter| {
        if letter == '-' {
            '_'
        } else {
            letter.to_ascii_lowercase()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{closest, distance};

    #[test]
    fn the_distance_counts_single_letter_edits() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("adress", "address"), 1);
        assert_eq!(distance("shares-per-Minute", "shares_per_minute"), 0);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let names = ["address", "upstreams"];
        assert_eq!(closest("adres", &names), Some("address"));
        assert_eq!(closest("addr", &names), None);
        assert_eq!(closest("adress", &names), Some("address"));
        assert_eq!(closest("upstream", &names), Some("upstreams"));
        assert_eq!(closest("port", &names), None);
    }
}
