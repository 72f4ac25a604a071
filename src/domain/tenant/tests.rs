use super::*;

#[test]
fn team_comes_before_user_and_both_keep_their_kind() {
    let name = |team, user| Tenant::of(team, user).to_string();

    assert_eq!(name(Some("7"), Some("9")), "team:7");
    assert_eq!(name(None, Some("7")), "user:7");
    assert_eq!(name(Some(""), Some("7")), "user:7");
    assert_eq!(name(None, None), "none");
}

#[test]
fn key_segments_hold_nothing_a_storage_refuses() {
    let segment = |team| Tenant::of(Some(team), None).as_key_segment();

    assert_eq!(segment("7"), "team=3A7");
    assert_eq!(segment("a/../b"), "team=3Aa=2F=2E=2E=2Fb");
    assert_eq!(segment("ü"), "team=3A=C3=BC");
    assert_ne!(segment("=3A"), segment(":"));
}
