use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    prune: PruneCommand,
}

fn parsed(arguments: &str) -> Result<PruneCommand, clap::Error> {
    let words = std::iter::once("prune").chain(arguments.split_whitespace());
    Line::try_parse_from(words).map(|line| line.prune)
}

#[test]
fn jobs_are_pruned_or_orphans_looked_for_never_both() {
    let check = |arguments: &str, is_right: bool| {
        assert_eq!(parsed(arguments).is_ok(), is_right, "{arguments}");
    };

    check("", true);
    check(
        "--dry-run --completed-days 30 --failed-days 0 --objects --adopted",
        true,
    );
    check("--orphans --delete --yes --json", true);
    check("--orphans --dry-run", true);
    check("--orphans --completed-days 30", false);
    check("--orphans --objects", false);
    check("--delete", false);
    check("--orphans --delete --dry-run", false);
    check("--completed-days -1", false);
    check("--completed-days 36501", false);
    check("--completed-days soon", false);
}

#[test]
fn what_is_typed_goes_before_what_is_recorded() {
    let recorded = Retention {
        completed_days: 30,
        failed_days: 7,
        objects: false,
    };
    let check = |arguments: &str, expected: Retention| {
        let command = parsed(arguments).expect("right arguments");
        assert_eq!(command.retention(recorded), expected, "{arguments}");
    };

    check("", recorded);
    check(
        "--completed-days 0 --objects",
        Retention {
            completed_days: 0,
            failed_days: 7,
            objects: true,
        },
    );
    check(
        "--failed-days 1",
        Retention {
            failed_days: 1,
            ..recorded
        },
    );
}
