use super::Column::{Left, Right};
use super::*;

fn check<const N: usize>(columns: [Column; N], rows: &[[&str; N]], expected: &[&str]) {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.map(str::to_owned)).collect();
    assert_eq!(render(columns, &rows), expected);
}

#[test]
fn columns_are_as_wide_as_their_widest_value() {
    check(
        [Right("ID"), Left("STATUS"), Left("PROMPT")],
        &[["7", "pending", "a"], ["1200", "failed", "red bicycle"]],
        &[
            "  ID  STATUS   PROMPT",
            "   7  pending  a",
            "1200  failed   red bicycle",
        ],
    );
}

#[test]
fn a_column_without_values_is_left_out() {
    check(
        [Left("A"), Left("ERROR"), Left("B")],
        &[["x", "", "y"]],
        &["A  B", "x  y"],
    );
}

#[test]
fn wide_letters_do_not_shift_what_follows() {
    check(
        [Left("PROMPT"), Left("B")],
        &[["红色车辆", "y"], ["ab", "z"]],
        &["PROMPT    B", "红色车辆  y", "ab        z"],
    );
}
