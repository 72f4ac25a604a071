use super::{OnlineKind, online, tables};

#[test]
fn every_statement_names_one_table_and_makes_one_thing() {
    let names: Vec<_> = tables().iter().map(|statement| statement.table).collect();
    assert!(names.contains(&"photo_generation_queue"), "{names:?}");
    assert!(names.contains(&"photo_generation_calls"), "{names:?}");
    for statement in tables() {
        let made = statement.sql.matches("CREATE TABLE").count();
        assert!(made <= 1, "{}", statement.sql);
    }

    for thing in online() {
        assert!(thing.name.starts_with("safelight_"), "{}", thing.sql);
        assert!(thing.sql.ends_with(';'), "{}", thing.sql);
        let at_once = thing.at_once();
        assert!(!at_once.contains("INDEX CONCURRENTLY"), "{at_once}");
        assert!(!at_once.contains("NOT VALID"), "{at_once}");
    }
    let indexes = online()
        .iter()
        .filter(|thing| thing.kind == OnlineKind::Index)
        .count();
    assert!(indexes > 5, "{indexes}");
}
