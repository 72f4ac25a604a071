use super::*;

#[test]
fn no_more_subjects_are_remembered_than_fit() {
    let users = Users::new(Some("select 1".to_owned()));

    for subject in 0..=MOST {
        users.remember(&subject.to_string(), Some("7".to_owned()));
    }

    assert!(users.seen().len() <= MOST);
    let last = users.remembered(&MOST.to_string()).unwrap();
    assert_eq!(last.id.as_deref(), Some("7"));
}
