//! The way to the database: is there one, what stands between, and do wake-ups come through.

use std::time::Duration;

use tokio::time::timeout;

use super::report::{Line, Mend};
use super::{DEADLINE, within};
use crate::config::DatabaseArgs;
use crate::db::doctor::{self, Address, Server, Sessions, Unreachable};
use crate::db::{Db, DbError};

/// A worker with the settings it comes with takes so many at most: five for jobs, one to renew, one
/// to listen.
const FEW_CONNECTIONS: i64 = 7;
/// The oldest server that safelight is tested on.
const OLDEST_TESTED: i32 = 15;
/// Where Supabase's pooler, and most servers, give each client a session of its own.
const SESSION_PORT: u16 = 5432;
/// A notification takes milliseconds.
const HEARD_WITHIN: Duration = Duration::from_secs(2);
/// Above this, inserts no longer notify (`photo_generation_wake`).
const NOTIFICATIONS_FULL: f64 = 0.5;
const DATABASE: &str = "DATABASE_URL";
const LISTEN: &str = "DATABASE_LISTEN_URL";
const SUPABASE: &str =
    "On Supabase: Dashboard, Connect, Session pooler; the password is the database's, not yours.";

/// A database that answers.
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) db: Db,
}

/// Whether anybody answers, and how well.
pub(super) async fn check(args: &DatabaseArgs) -> (Vec<Line>, Option<Place>) {
    let Ok(url) = args.url() else {
        let mend = [
            Mend::shell("export DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/DATABASE"),
            Mend::say(SUPABASE),
        ];
        let line = Line::fail("database", "DATABASE_URL is not set", mend);
        return (vec![line], None);
    };
    let Ok(address) = Address::parse(url) else {
        return (vec![no_address("database", DATABASE)], None);
    };
    let reached = timeout(DEADLINE, async {
        let mut session = doctor::connect(&address).await?;
        let round_trip = session.round_trip().await?;
        session.close().await;
        Ok(round_trip)
    });
    match reached.await {
        Ok(Ok(round_trip)) => {
            let db = doctor::careful(&address);
            let lines = within("database", server(&db, &address, round_trip)).await;
            (lines, Some(Place { address, db }))
        }
        Ok(Err(error)) => (
            vec![unreachable("database", DATABASE, &address, &error)],
            None,
        ),
        Err(_) => (vec![silent("database", DATABASE, &address)], None),
    }
}

fn no_address(name: &'static str, variable: &str) -> Line {
    let mend = [
        Mend::shell(format!(
            "export {variable}=postgres://USER:PASSWORD@HOST:5432/DATABASE"
        )),
        Mend::say("In the password, write @ as %40, : as %3A, / as %2F, # as %23."),
        Mend::say(SUPABASE),
    ];
    Line::fail(name, format!("{variable} is not a Postgres address"), mend)
}

async fn server(db: &Db, address: &Address, round_trip: Duration) -> Result<Vec<Line>, DbError> {
    let server = doctor::server(db).await?;
    let seen = format!(
        "PostgreSQL {} at {address}, a round trip takes {:.1} ms, {} connections left",
        server.version,
        round_trip.as_secs_f64() * 1000.0,
        server.left
    );
    let line = if server.standby {
        Line::fail(
            "database",
            format!("{seen}; it is a standby and takes no writes"),
            [Mend::say("Set DATABASE_URL to the primary server.")],
        )
    } else if server.read_only {
        read_only(&seen, &server)
    } else if server.left < FEW_CONNECTIONS {
        few_connections(&seen, server)
    } else if server.major < OLDEST_TESTED {
        let advice = format!("Upgrade the server to PostgreSQL {OLDEST_TESTED} or newer.");
        Line::warn("database", format!("{seen}; untested"), [Mend::say(advice)])
    } else {
        Line::ok("database", seen)
    };
    Ok(vec![line])
}

fn read_only(seen: &str, server: &Server) -> Line {
    let mend = [
        Mend::say(
            "Somebody made it read-only, or its disk is full. On Supabase: Dashboard, Database \
             Settings, Disk; make room or enlarge it first. Then, in one session:",
        ),
        Mend::sql(doctor::WRITE_HERE),
        Mend::sql(&server.writable_sql),
    ];
    Line::fail("database", format!("{seen}; it refuses writes"), mend)
}

fn few_connections(seen: &str, server: Server) -> Line {
    let mend = match server.room_sql {
        Some(sql) => vec![
            Mend::say("The database or the role has a limit of its own. Take it away:"),
            Mend::sql(sql),
        ],
        None => vec![
            Mend::say(
                "End what nobody uses, or raise max_connections and restart the server. On \
                 Supabase: use the Session pooler (Dashboard, Connect).",
            ),
            Mend::sql(doctor::END_IDLE),
        ],
    };
    Line::warn(
        "database",
        format!("{seen}, and a worker takes up to {FEW_CONNECTIONS}"),
        mend,
    )
}

fn silent(name: &'static str, variable: &str, address: &Address) -> Line {
    let mend = [
        Mend::say(
            "A firewall, a wrong host, or a server that is overloaded or paused. On Supabase: \
             Dashboard shows whether the project is paused; Database Settings, Network \
             Restrictions whether this machine may connect.",
        ),
        Mend::shell(format!(
            "pg_isready -h {} -p {}",
            address.host(),
            address.port()
        )),
    ];
    Line::fail(
        name,
        format!("{variable}, {address}, does not answer within {DEADLINE:?}"),
        mend,
    )
}

fn unreachable(name: &'static str, variable: &str, address: &Address, error: &Unreachable) -> Line {
    Line::fail(
        name,
        format!("{variable}, {address}: {error}"),
        advice(address, error),
    )
}

fn advice(address: &Address, error: &Unreachable) -> Vec<Mend> {
    let (host, port, user) = (address.host(), address.port(), address.user());
    match error {
        Unreachable::Refused => vec![
            Mend::say(
                "Start Postgres there, or correct host and port. In a container, localhost is the \
                 container itself.",
            ),
            Mend::shell(format!("pg_isready -h {host} -p {port}")),
        ],
        Unreachable::UnknownHost => vec![
            Mend::say(format!("Correct the host \"{host}\" of the address.")),
            Mend::say(SUPABASE),
        ],
        Unreachable::Network(_) => vec![
            Mend::say(
                "Supabase's direct address (db.PROJECT.supabase.co) is reached by IPv6 only: use \
                 the Session pooler. Elsewhere, look at routes and firewalls.",
            ),
            Mend::say(SUPABASE),
        ],
        Unreachable::Tls(_) => vec![Mend::say(
            "Add ?sslmode=require to the address, or ?sslmode=verify-full&sslrootcert=FILE where \
             the server's certificate is checked.",
        )],
        Unreachable::Password => vec![
            Mend::say(format!(
                "Correct the password of {user} in the address; write @ as %40, : as %3A, / as \
                 %2F, # as %23."
            )),
            Mend::say("On Supabase: Dashboard, Database Settings, Reset database password."),
        ],
        Unreachable::NotAllowed(_) => vec![Mend::say(
            "Correct the user of the address, or allow it from this machine in pg_hba.conf and \
             reload the server; where only TLS is allowed, add ?sslmode=require.",
        )],
        Unreachable::NoDatabase => vec![
            Mend::say("Correct the name at the end of the address. The databases there are:"),
            Mend::shell(format!("psql -h {host} -p {port} -U {user} -l")),
        ],
        Unreachable::Full => vec![
            Mend::say(
                "As a superuser, end what nobody uses, or raise max_connections and restart the \
                 server. On Supabase: Dashboard, SQL Editor; and use the Session pooler.",
            ),
            Mend::sql(doctor::END_IDLE),
        ],
        Unreachable::Starting => vec![Mend::say(
            "Wait a minute and run safelight doctor again; workers come back by themselves.",
        )],
        Unreachable::Tenant => vec![Mend::say(
            "With Supabase's pooler the user is postgres.PROJECT, and the host is that of the \
             project's region. Copy both: Dashboard, Connect, Session pooler.",
        )],
        Unreachable::Other(_) => vec![
            Mend::say("See whether psql gets in with the same address:"),
            Mend::shell("psql \"$DATABASE_URL\" -c 'SELECT 1'"),
        ],
    }
}

/// What stands between, found out, against what safelight takes it for.
pub(super) async fn pooler(
    address: &Address,
    listen_url: Option<&str>,
) -> (Vec<Line>, Option<Sessions>) {
    let found = match timeout(DEADLINE, doctor::sessions(address)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return (vec![unreachable("pooler", DATABASE, address, &error)], None),
        Err(_) => return (vec![silent("pooler", DATABASE, address)], None),
    };
    let listens = listen_url.is_some();
    let listen_setting = format!(
        "export DATABASE_LISTEN_URL={}",
        address.example(SESSION_PORT)
    );
    let line = match (found, address.is_taken_for_pooler()) {
        (Sessions::Own, false) => Line::ok("pooler", "none, or in session mode"),
        (Sessions::Shared, true) if listens => {
            Line::ok("pooler", "in transaction mode, and taken for that")
        }
        (Sessions::Own, true) if listens => Line::ok(
            "pooler",
            "in session mode or none; taken for one in transaction mode, which is only slower",
        ),
        (Sessions::Shared, true) => Line::warn(
            "pooler",
            "in transaction mode, over which nobody can listen: new rows are found by polling",
            [
                Mend::say("Set a direct or session-mode address for wake-ups, and for migrate:"),
                Mend::shell(listen_setting),
                Mend::say(SUPABASE),
            ],
        ),
        (Sessions::Own, true) => Line::warn(
            "pooler",
            "in session mode or none, but taken for one in transaction mode: nobody listens, and \
             statements take three round trips",
            [
                Mend::say(
                    "Take pgbouncer=true out of DATABASE_URL; where the port made the \
                           difference, set the same address for wake-ups:",
                ),
                Mend::shell(format!(
                    "export DATABASE_LISTEN_URL={}",
                    address.example(address.port())
                )),
            ],
        ),
        (Sessions::Shared, false) => Line::fail(
            "pooler",
            "in transaction mode, but taken for a direct address: statements meet sessions of \
             others and fail",
            [
                Mend::say("Say what it is, and set a direct or session-mode address for wake-ups:"),
                Mend::shell(format!(
                    "export DATABASE_URL='{}?pgbouncer=true'",
                    address.example(address.port())
                )),
                Mend::shell(listen_setting),
                Mend::say(SUPABASE),
            ],
        ),
    };
    (vec![line], Some(found))
}

/// Whether a notification comes through, over the way that a worker would take.
pub(super) async fn listen(
    place: &Place,
    listen_url: Option<&str>,
    sessions: Option<Sessions>,
) -> Vec<Line> {
    let address = match listen_url.map(Address::parse) {
        Some(Ok(address)) => address,
        Some(Err(_)) => return vec![no_address("listen", LISTEN)],
        None if place.address.is_taken_for_pooler() || sessions != Some(Sessions::Own) => {
            return vec![Line::skip(
                "listen",
                "DATABASE_LISTEN_URL is not set, see pooler; new rows are found by polling",
            )];
        }
        None => place.address.clone(),
    };
    if listen_url.is_some() {
        match timeout(DEADLINE, doctor::sessions(&address)).await {
            Ok(Ok(Sessions::Own)) => {}
            Ok(Ok(Sessions::Shared)) => return vec![listens_to_pooler(&address)],
            Ok(Err(error)) => return vec![unreachable("listen", LISTEN, &address, &error)],
            Err(_) => return vec![silent("listen", LISTEN, &address)],
        }
    }
    within("listen", hear(&place.db, &address)).await
}

fn listens_to_pooler(address: &Address) -> Line {
    let mend = [
        Mend::say("Set it to a direct address, or to a session-mode pooler:"),
        Mend::shell(format!(
            "export DATABASE_LISTEN_URL={}",
            address.example(SESSION_PORT)
        )),
        Mend::say(SUPABASE),
    ];
    Line::fail(
        "listen",
        format!("DATABASE_LISTEN_URL, {address}, is a transaction-mode pooler, too"),
        mend,
    )
}

async fn hear(db: &Db, address: &Address) -> Result<Vec<Line>, DbError> {
    let pending = doctor::notifications_pending(db).await?;
    let heard = doctor::hear(db, address, HEARD_WITHIN).await?;
    let line = match heard {
        _ if pending > NOTIFICATIONS_FULL => Line::warn(
            "listen",
            format!(
                "the server's queue of notifications is {:.0} % full, so inserts wake nobody",
                pending * 100.0
            ),
            [
                Mend::say("A session that listens has an old transaction open; find and end it:"),
                Mend::sql(doctor::WHO_IS_BUSY),
            ],
        ),
        Some(took) => Line::ok(
            "listen",
            format!(
                "a notification came through in {:.1} ms",
                took.as_secs_f64() * 1000.0
            ),
        ),
        None => Line::fail(
            "listen",
            format!("no notification came through to {address} within {HEARD_WITHIN:?}"),
            [Mend::say(
                "DATABASE_LISTEN_URL must lead to the database of DATABASE_URL, on the same \
                 server; correct it, or unset it to find new rows by polling.",
            )],
        ),
    };
    Ok(vec![line])
}
