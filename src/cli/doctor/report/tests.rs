use super::*;

#[test]
fn a_line_says_how_it_stands_and_below_it_what_mends_it() {
    let line = Line::fail(
        "schema",
        "there is none",
        [Mend::say("Create it:"), Mend::shell("safelight migrate")],
    );

    assert_eq!(
        line.text(),
        [
            "FAIL  schema    there is none",
            "                Create it:",
            "                safelight migrate",
        ]
    );
}

#[test]
fn what_others_wrote_cannot_move_the_cursor() {
    let line = Line::warn(
        "vacuum",
        "app \u{1b}[2J\nname",
        [Mend::sql("SELECT '\u{7}';")],
    );

    assert!(
        line.text()
            .iter()
            .all(|line| !line.contains(char::is_control))
    );
}

#[test]
fn only_what_fails_makes_the_report_fail() {
    let ended = |lines: Vec<Line>| {
        let report = Report {
            form: Form::Json,
            lines,
        };
        report.end().map_err(|error| error.to_string())
    };

    assert_eq!(ended(vec![Line::ok("a", "x")]), Ok(()));
    assert_eq!(
        ended(vec![Line::warn("a", "x", []), Line::skip("b", "no a")]),
        Ok(())
    );
    assert_eq!(
        ended(vec![Line::fail("a", "x", []), Line::warn("b", "y", [])]),
        Err("1 failure, 1 warning".to_owned())
    );
}
