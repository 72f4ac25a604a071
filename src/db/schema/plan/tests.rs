use super::super::found::Trigger;
use super::sql::{literal, quote};
use super::triggers::sends_rows;

#[test]
fn only_a_trigger_that_does_nothing_but_notify_is_replaced() {
    let check = |source: &str, expected: bool| {
        let trigger = Trigger {
            name: "photo_job_trigger".to_owned(),
            definition: String::new(),
            for_each_row: true,
            fires: true,
            source: source.to_owned(),
        };
        assert_eq!(sends_rows(&trigger), expected, "{source}");
    };

    check(
        "BEGIN PERFORM pg_notify('jobs', row_to_json(NEW)::text); RETURN NEW; END;",
        true,
    );
    check(
        "BEGIN PERFORM pg_notify('jobs', json_build_object('id', NEW.id, 'status', NEW.status)::text);
         RAISE NOTICE 'job % is %', NEW.id, NEW.status; RETURN NEW; END;",
        true,
    );
    check(
        "BEGIN IF NEW.status = 'pending' THEN NOTIFY jobs; END IF; RETURN NEW; END;",
        true,
    );
    check(
        "BEGIN NEW.\"updatedAt\" := now(); PERFORM pg_notify('jobs', '1'); RETURN NEW; END;",
        false,
    );
    check(
        "BEGIN INSERT INTO audit VALUES (NEW.id); PERFORM pg_notify('jobs', '1'); RETURN NEW; END;",
        false,
    );
    check(
        "BEGIN PERFORM net.http_post('https://example.com', '{}'); PERFORM pg_notify('jobs', '1'); END;",
        false,
    );
    check(
        "BEGIN PERFORM count_job(NEW.id); PERFORM pg_notify('jobs', '1'); RETURN NEW; END;",
        false,
    );
    check(
        "BEGIN IF NEW.glasses = '' THEN RAISE EXCEPTION 'no'; END IF; NOTIFY jobs; RETURN NEW; END;",
        false,
    );
    check("BEGIN NEW.\"updatedAt\" := now(); RETURN NEW; END;", false);
}

#[test]
fn a_trigger_per_statement_one_of_ours_and_a_disabled_one_stay() {
    let trigger = Trigger {
        name: "photo_job_trigger".to_owned(),
        definition: String::new(),
        for_each_row: false,
        fires: true,
        source: "BEGIN NOTIFY jobs; RETURN NULL; END;".to_owned(),
    };
    assert!(!sends_rows(&trigger));

    let ours = Trigger {
        name: "photo_generation_wake_on_pending".to_owned(),
        for_each_row: true,
        ..trigger.clone()
    };
    assert!(!sends_rows(&ours));

    let disabled = Trigger {
        for_each_row: true,
        fires: false,
        ..trigger
    };
    assert!(!sends_rows(&disabled));
}

#[test]
fn names_and_texts_are_quoted() {
    assert_eq!(quote("retryAt"), "\"retryAt\"");
    assert_eq!(quote("a\"b"), "\"a\"\"b\"");
    assert_eq!(literal("it's"), "'it''s'");
    assert_eq!(literal("a\\b'"), "E'a\\\\b'''");
}
