use super::*;

fn team(id: &str) -> Tenant {
    Tenant::of(Some(id), None)
}

#[test]
fn a_generated_object_is_named_by_tenant_job_image_and_call() {
    let (job, call) = (Uuid::from_u128(1), Uuid::from_u128(2));

    let key = ObjectKey::generated(&team("7"), job, 3, call, PictureFormat::Jpeg);

    assert_eq!(
        key.as_str(),
        "team=3A7/00000000-0000-0000-0000-000000000001/3-00000000-0000-0000-0000-000000000002.jpg"
    );
    let prefix = ObjectKey::generated_prefix(&team("7"), job, 3, call);
    assert_eq!(prefix.with(PictureFormat::Jpeg), key);
}

#[test]
fn an_upload_is_named_by_tenant_and_content() {
    let hash = "0a".repeat(32);

    let key = ObjectKey::upload(&team("7"), &hash, PictureFormat::Webp).expect("a key");

    assert_eq!(key.as_str(), format!("uploads/team=3A7/{hash}.webp"));
    assert_eq!(
        ObjectKey::upload_named(&team("7"), &format!("{hash}.webp")),
        Ok(key)
    );
    for name in [
        String::new(),
        format!("{hash}.gif"),
        format!("{hash}."),
        hash.clone(),
        format!("{}.png", &hash[1..]),
        format!("{}.png", hash.to_uppercase()),
        format!("../{}.png", &hash[3..]),
        format!("{hash}.png/x"),
    ] {
        assert_eq!(
            ObjectKey::upload_named(&team("7"), &name),
            Err(InvalidKey),
            "{name}"
        );
    }
}

#[test]
fn whatever_was_made_is_read_back() {
    let ids = ["7", "", "../../etc", "ü %/\\\0", &"ä".repeat(10_000)];
    for tenant in ids.map(team) {
        let key = ObjectKey::generated(
            &tenant,
            Uuid::nil(),
            i32::MAX,
            Uuid::nil(),
            PictureFormat::Png,
        );
        assert_eq!(ObjectKey::parse(key.as_str()), Ok(key));
        let key = ObjectKey::upload(&tenant, &"0".repeat(64), PictureFormat::Png).expect("a key");
        assert_eq!(ObjectKey::parse(key.as_str()), Ok(key));
    }
}

#[test]
fn long_ids_stay_apart() {
    let folder = |end| folder_of(&team(&format!("{}{end}", "x".repeat(500))));

    assert_ne!(folder("a"), folder("b"));
    assert_eq!(folder("a"), folder("a"));
    assert!(folder("a").len() <= MAX_PART);
    assert_eq!(folder_of(&team("7")), "team=3A7");
}

#[test]
fn a_key_cannot_leave_the_root() {
    for text in [
        "",
        "/",
        "/etc/passwd",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        ".",
        "a/.hidden",
        "a\\..\\b",
        "a%2f..",
        "C:/x",
        "a b",
        "a\0",
        "ü",
        "a\n",
    ] {
        assert_eq!(ObjectKey::parse(text), Err(InvalidKey), "{text:?}");
    }
    assert!(ObjectKey::parse(&"x".repeat(MAX_PART + 1)).is_err());
    assert!(ObjectKey::parse(&"xxxxxxxxx/".repeat(200)).is_err());
}

#[test]
fn an_object_of_ours_is_told_from_others_by_its_name() {
    let (job_id, call_id) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let hash = "0a".repeat(32);
    for tenant in [team("7"), team(&"ü".repeat(80))] {
        let key = ObjectKey::generated(&tenant, job_id, 3, call_id, PictureFormat::Jpeg);
        let generated = Origin::Generated { job_id, call_id };
        assert_eq!(key.origin(), Some(generated), "{key}");
    }
    let key = ObjectKey::upload(&team("7"), &hash, PictureFormat::Webp).expect("a key");
    let upload = Origin::Upload {
        tenant: team("7"),
        name: format!("{hash}.webp"),
    };
    assert_eq!(key.origin(), Some(upload));
    let key = ObjectKey::garment_prefix(&team("7"), call_id).with(PictureFormat::Png);
    assert_eq!(
        key.as_str(),
        format!("garments/team=3A7/garment-{call_id}.png")
    );
    assert_eq!(key.origin(), Some(Origin::Garment { call_id }));

    for other in [
        format!("team=3A7/{job_id}/3-{call_id}.gif"),
        format!("team=3A7/{job_id}/03-{call_id}.png"),
        format!("team=3A7/{job_id}/x/3-{call_id}.png"),
        format!("team=3A7/{job_id}/{call_id}.png"),
        format!("team=3A7/{}/3-{call_id}.png", job_id.simple()),
        format!("photos/{job_id}/3-{call_id}.png"),
        format!("uploads/photos/{hash}.png"),
        format!("garments/photos/garment-{call_id}.png"),
        format!("garments/team=3A7/coat-{call_id}.png"),
        format!("uploads/team=3A7/{hash}.gif"),
        "avatar.png".to_owned(),
    ] {
        let key = ObjectKey::parse(&other).expect("a key");
        assert_eq!(key.origin(), None, "{other}");
    }
}
