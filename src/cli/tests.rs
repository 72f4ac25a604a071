use super::*;

#[test]
fn the_arguments_are_well_formed() {
    config::with_prefixed_variables(Cli::command()).debug_assert();
}

#[test]
fn every_command_of_a_person_shows_examples() {
    for command in Cli::command().get_subcommands() {
        let help = command.get_after_help().map(ToString::to_string);

        assert!(
            help.is_some_and(|help| help.starts_with("Examples:")),
            "{}",
            command.get_name()
        );
    }
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let check = |error: CommandError, code: u8| assert_eq!(error.exit_code(), code, "{error}");

    check(CommandError::Usage("no such ratio".to_owned()), 2);
    check(CommandError::Failed("job 1 failed".to_owned()), 1);
    check(CommandError::Terminal(std::io::Error::other("gone")), 1);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);

    assert!(CommandError::from(closed).is_closed_pipe());
    assert!(!CommandError::from(full).is_closed_pipe());
}
