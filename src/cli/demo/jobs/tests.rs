use super::*;
use crate::domain::AspectRatio;

#[test]
fn a_statement_is_shown_with_its_values_in_their_places() {
    let check = |statement: &str, values: &[Value], expected: &str| {
        assert_eq!(filled_in(statement, values), expected);
    };

    check(
        "SELECT $2, $1\n",
        &[Value::Number(7), Value::Text("it's $1")],
        "SELECT 'it''s $1', 7;",
    );
    check("SELECT 1", &[], "SELECT 1;");
    check("SELECT $3, '$'", &[Value::Number(7)], "SELECT $3, '$';");
}

#[test]
fn what_is_shown_names_batch_prompt_and_shape() {
    let sql = as_sql(12, &of_prompt("a girl's kite"));

    assert!(sql.contains("VALUES ('demo') RETURNING id;"), "{sql}");
    assert!(
        sql.ends_with("VALUES (12, 'demo', 'a girl''s kite', '3:2', 4);"),
        "{sql}"
    );
}

#[test]
fn each_run_shows_other_places_and_both_troubles() {
    let mut prompts = Vec::new();
    for run in 0..3 {
        let jobs = of_run(run);
        assert_eq!(jobs.len(), 4);
        for (_, marker) in TROUBLE {
            assert!(jobs.iter().any(|job| job.prompt.ends_with(marker)));
            assert!(TROUBLE_IN_WORDS.contains(marker));
        }
        prompts.extend(jobs.into_iter().map(|job| job.prompt));
    }
    let all = prompts.len();
    prompts.sort();
    prompts.dedup();
    assert_eq!(prompts.len(), all);
    assert_eq!(of_run(3), of_run(0));
}

#[test]
fn every_shape_is_one_that_can_be_drawn() {
    for (scene, shape) in SCENES {
        let is_known = AspectRatio::COMMON
            .iter()
            .any(|ratio| ratio.as_str() == shape);
        assert!(is_known, "{scene}");
    }
}
