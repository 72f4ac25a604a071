use super::*;

#[test]
fn only_a_yes_is_a_yes() {
    let check = |answer: &str, expected: bool| assert_eq!(is_yes(answer), expected, "{answer}");

    check("y\n", true);
    check(" YES \n", true);
    check("\n", false);
    check("", false);
    check("n\n", false);
    check("yellow\n", false);
}
