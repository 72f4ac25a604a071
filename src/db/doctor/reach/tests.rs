use super::*;

#[test]
fn what_servers_and_poolers_say_is_understood() {
    let check = |code: &str, message: &str, expected: fn(&Unreachable) -> bool| {
        let understood = Unreachable::of_server(code, message);
        assert!(expected(&understood), "{code} {message}: {understood:?}");
    };

    check(
        "28P01",
        "password authentication failed for user \"a\"",
        |it| matches!(it, Unreachable::Password),
    );
    check("08P01", "SASL auth failed", |it| {
        matches!(it, Unreachable::Password)
    });
    check("28000", "no pg_hba.conf entry for host", |it| {
        matches!(it, Unreachable::NotAllowed(_))
    });
    check("3D000", "database \"x\" does not exist", |it| {
        matches!(it, Unreachable::NoDatabase)
    });
    check("08P01", "no such database: x", |it| {
        matches!(it, Unreachable::NoDatabase)
    });
    check("53300", "sorry, too many clients already", |it| {
        matches!(it, Unreachable::Full)
    });
    check("XX000", "Max client connections reached", |it| {
        matches!(it, Unreachable::Full)
    });
    check("57P03", "the database system is starting up", |it| {
        matches!(it, Unreachable::Starting)
    });
    check("XX000", "Tenant or user not found", |it| {
        matches!(it, Unreachable::Tenant)
    });
    check("XX000", "something new", |it| {
        matches!(it, Unreachable::Other(_))
    });
}

#[test]
fn what_the_network_says_is_understood() {
    let check = |error: std::io::Error, expected: fn(&Unreachable) -> bool| {
        let understood = Unreachable::of_io(&error);
        assert!(expected(&understood), "{error}: {understood:?}");
    };

    check(ErrorKind::ConnectionRefused.into(), |it| {
        matches!(it, Unreachable::Refused)
    });
    check(
        std::io::Error::other("failed to lookup address information: Name or service not known"),
        |it| matches!(it, Unreachable::UnknownHost),
    );
    check(ErrorKind::NetworkUnreachable.into(), |it| {
        matches!(it, Unreachable::Network(_))
    });
}
