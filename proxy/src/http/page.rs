//! Pages of long lists: searched, sorted, cut.

use std::cmp::Reverse;
use std::time::Instant;

use super::query::{Query, QueryError};

/// Rows of a page where nothing else is said.
const USUAL: usize = 100;
/// Most rows of a page: some 500 kB.
const MOST: usize = 1_000;
/// Most rows ahead of a page: more than there ever are.
const OFFSET_MOST: usize = 1_000_000_000;

/// Which part of a sorted list is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Page {
    pub(super) fn read(query: &mut Query) -> Result<Self, QueryError> {
        Ok(Self {
            limit: query.number("limit", USUAL, 1..=MOST)?,
            offset: query.number("offset", 0, 0..=OFFSET_MOST)?,
        })
    }

    /// Gives the rows of this page.
    pub(super) fn of<T>(self, rows: Vec<T>) -> impl Iterator<Item = T> {
        rows.into_iter().skip(self.offset).take(self.limit)
    }
}

/// What rows are sorted by. Numbers are compared as numbers, texts in the order of their characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Text(String),
    /// The bits of a number that is not negative, which are in its order.
    Number(u64),
    /// What is worst, then what weighs most.
    Problem(Reverse<usize>, u64),
}

impl Key {
    /// Makes a key of a number; what is negative or none counts as 0.
    pub(super) fn number(value: f64) -> Self {
        Self::Number(bits(value))
    }

    /// Makes a key of a time that has passed: the latest is the greatest, none the least.
    pub(super) fn latest(now: Instant, at: Option<Instant>) -> Self {
        let passed = at.map(|at| now.saturating_duration_since(at).as_micros());
        let passed = passed.and_then(|passed| u64::try_from(passed).ok());
        Self::Number(passed.map_or(0, |passed| u64::MAX - passed))
    }

    /// Makes a key that puts the worst problem (the lowest rank) highest, of equals the greatest weight.
    pub(super) fn problem(rank: Option<usize>, weight: f64) -> Self {
        Self::Problem(Reverse(rank.unwrap_or(usize::MAX)), bits(weight))
    }
}

fn bits(value: f64) -> u64 {
    if value > 0.0 { value.to_bits() } else { 0 }
}

/// Sorts rows by a key; equal ones stay in their order.
pub(super) fn sort<T>(rows: &mut [T], descending: bool, key: impl Fn(&T) -> Key) {
    match descending {
        true => rows.sort_by_cached_key(|row| Reverse(key(row))),
        false => rows.sort_by_cached_key(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sorted_as_numbers() {
        let mut rows = vec![3.5, 0.0, 1e30, f64::NAN, 2.0];
        sort(&mut rows, true, |row| Key::number(*row));
        assert_eq!(rows[..3], [1e30, 3.5, 2.0]);
        sort(&mut rows, false, |row| Key::number(*row));
        assert_eq!(rows[2..], [2.0, 3.5, 1e30]);
    }

    #[test]
    fn the_worst_problem_comes_first_and_none_last() {
        let mut rows = [(None, 9.0), (Some(1), 1.0), (Some(0), 1.0), (Some(1), 5.0)];
        sort(&mut rows, true, |(rank, weight)| {
            Key::problem(*rank, *weight)
        });
        assert_eq!(
            rows,
            [(Some(0), 1.0), (Some(1), 5.0), (Some(1), 1.0), (None, 9.0)]
        );
    }

    #[test]
    fn a_page_is_cut_wherever_it_lies() {
        let rows = || (0..10).collect::<Vec<_>>();
        let page = |offset, limit| Page { offset, limit }.of(rows()).collect::<Vec<_>>();
        assert_eq!(page(8, 5), [8, 9]);
        assert!(page(usize::MAX, 5).is_empty());
    }
}
