//! What the tables of both halves share.

use serde_json::Value;

use super::*;
pub(super) use crate::providers::seen::{Seen, message};

pub(super) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|&(name, value)| {
        (
            name.parse::<reqwest::header::HeaderName>().unwrap(),
            value.parse().unwrap(),
        )
    });
    pairs.collect()
}

pub(super) fn answered(
    status: u16,
    with: &[(&'static str, &'static str)],
    body: &[u8],
) -> CallResult {
    let status = StatusCode::from_u16(status).unwrap();
    classify(status, &headers(with), body)
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "the rows of a table read better without borrowing"
)]
pub(super) fn check(
    status: u16,
    with: &[(&'static str, &'static str)],
    body: &Value,
    expected: Seen,
) {
    let result = answered(status, with, body.to_string().as_bytes());

    assert_eq!(Seen::of(result), expected, "{status} {with:?} {body}");
}
