use super::*;
use crate::domain::failure::Remedy;

#[test]
fn a_target_is_a_local_directory() {
    let target = |text: &str| text.parse::<StorageTarget>();

    assert_eq!(
        target("local:./photos"),
        Ok(StorageTarget::Local("./photos".into()))
    );
    assert_eq!(
        target("local:/srv/a:b"),
        Ok(StorageTarget::Local("/srv/a:b".into()))
    );
}

#[test]
fn a_storage_that_fails_is_worth_another_try() {
    let failures = [
        StorageError::NotFound,
        StorageError::Unavailable {
            source: io::Error::from(io::ErrorKind::StorageFull),
        },
    ]
    .map(Failure::from);

    for failure in &failures {
        assert_eq!(
            (failure.code, failure.remedy),
            ("storage_failed", Remedy::Retry)
        );
    }
    assert!(failures[1].message.contains("no storage space"));
}
