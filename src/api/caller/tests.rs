use super::*;

const JOB: Uuid = Uuid::from_u128(7);

#[test]
fn a_caller_sees_its_own_and_team_7_is_not_user_7() {
    let team = Tenant::of(Some("7"), None);
    let user = Tenant::of(None, Some("7"));
    let nobody = Tenant::of(None, None);
    let check = |caller: Caller, expected: [bool; 3]| {
        let seen = [&team, &user, &nobody].map(|tenant| caller.sees(Some(JOB), tenant));
        assert_eq!(seen, expected, "{caller:?}");
    };

    check(Caller::Service, [true, true, true]);
    check(Caller::Team("7".to_owned()), [true, false, false]);
    check(Caller::User("7".to_owned()), [false, true, false]);
    check(Caller::User("8".to_owned()), [false, false, false]);
    check(viewer(JOB), [true, true, true]);
    check(viewer(Uuid::nil()), [false, false, false]);
}

#[test]
fn a_view_token_opens_no_row_that_has_no_uuid_yet() {
    let tenant = Tenant::of(None, None);

    assert!(!viewer(JOB).sees(None, &tenant));
}

#[test]
fn only_a_service_may_do_what_only_a_service_may() {
    assert!(Caller::Service.must_be_service().is_ok());
    for caller in [
        Caller::Team("7".to_owned()),
        Caller::User("7".to_owned()),
        viewer(JOB),
    ] {
        assert!(caller.must_be_service().is_err(), "{caller:?}");
    }
}

fn viewer(job: Uuid) -> Caller {
    Caller::Viewer {
        job,
        end: Moment(0),
    }
}
