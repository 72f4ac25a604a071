use chrono::{DateTime, TimeDelta, Utc};

use super::*;

fn key(id: i64, team: Option<&str>, revoked_at: Option<TimeDelta>) -> KeyRow {
    let created_at = DateTime::<Utc>::UNIX_EPOCH;
    KeyRow {
        id,
        team: team.map(str::to_owned),
        label: team.map(|_| "web\nsite".to_owned()),
        created_at,
        revoked_at: revoked_at.map(|later| created_at + later),
        read_at: created_at + TimeDelta::hours(3),
    }
}

#[test]
fn the_table_says_whose_each_key_is_and_which_no_longer_open() {
    let keys = [
        key(1, Some("7"), Some(TimeDelta::hours(2))),
        key(2, None, None),
    ];

    assert_eq!(
        render(&keys),
        [
            "ID  FOR      LABEL     CREATED  REVOKED",
            " 1  team:7   web site  3 h ago  1 h ago",
            " 2  service            3 h ago",
        ]
    );
}

#[test]
fn a_key_of_a_team_needs_a_team() {
    for team in ["", " ", "*"] {
        let owner = Owner {
            team: Some(team.to_owned()),
            service: false,
        };

        assert!(matches!(owner.named(), Err(CommandError::Usage(_))));
    }
}
