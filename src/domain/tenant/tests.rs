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

#[test]
fn a_tenant_is_read_as_it_is_written() {
    for written in ["team:7", "user:7", "team:a:b", "none"] {
        let read = written.parse::<Tenant>().expect("a tenant");
        assert_eq!(read.as_str(), written);
    }
    for wrong in [
        "", "7", "team", "team:", "user:", "Team:7", "org:7", "none:", "none:7",
    ] {
        let error = wrong.parse::<Tenant>().expect_err(wrong).to_string();
        assert!(error.contains("team:ID, user:ID"), "{error}");
    }
}

#[test]
fn a_key_segment_names_its_tenant_and_no_other_text_does() {
    for written in ["team:7", "user:a/../b", "team:ü", "team:a:b", "none"] {
        let tenant = written.parse::<Tenant>().expect("a tenant");
        let segment = tenant.as_key_segment();
        assert_eq!(Tenant::from_key_segment(&segment), Some(tenant));
    }
    for wrong in [
        "uploads",
        "team=3a7",
        "team=3A=",
        "team=3A7.",
        "team=3A=FF",
        "photos",
        "",
    ] {
        assert_eq!(Tenant::from_key_segment(wrong), None, "{wrong}");
    }
}
