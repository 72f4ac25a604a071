use super::*;

const JOB: Uuid = Uuid::from_u128(7);

fn signer() -> Signer {
    Signer::new(b"a secret of thirty-two bytes ....")
}

#[test]
fn a_token_opens_what_it_was_made_for_until_its_end() {
    let token = signer().token(Scope::View, JOB, Moment(1000));

    let opened = Opened {
        scope: Scope::View,
        what: JOB,
        end: Moment(1000),
    };
    assert_eq!(signer().opened(&token, Moment(999)), Some(opened));
    assert_eq!(signer().opened(&token, Moment(1000)), None);
}

#[test]
fn a_token_that_was_altered_opens_nothing() {
    let token = signer().token(Scope::Zip, JOB, Moment(1000));
    let check = |altered: &str| assert_eq!(signer().opened(altered, Moment(0)), None, "{altered}");

    check(&token.replace("zip", "view"));
    check(&token.replace(".1000.", ".2000."));
    check(&token.replace("07.", "08."));
    check(&token[..token.len() - 1]);
    check(&format!("{token}.x"));
    check("");
    let of_another_secret = Signer::new(b"another").token(Scope::Zip, JOB, Moment(1000));
    check(&of_another_secret);
}

#[test]
fn an_end_is_the_same_within_a_quarter_of_the_life() {
    let life = Duration::from_secs(400);
    let check = |now, end| assert_eq!(Moment(now).end_of(life), Moment(end), "{now}");

    check(0, 400);
    check(1, 500);
    check(100, 500);
    check(101, 600);
}

#[test]
fn a_span_begins_where_its_end_begins_to_be_the_end() {
    for (now, life) in [
        (1_000_000, 21_600),
        (1_000_001, 400),
        (5_000, 1),
        (7_777, 3),
    ] {
        let life = Duration::from_secs(life);
        let (begin, end) = Moment(now).span_of(life);

        assert!(begin <= Moment(now));
        assert_eq!((begin.end_of(life), Moment(now).end_of(life)), (end, end));
        assert_ne!(Moment(begin.0 - 1).end_of(life), end);
    }
}
