use super::*;

#[test]
fn an_account_is_read_from_its_line() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\n\
                  broken\n\
                  postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n\
                  postgresql:x:7:8::/:\n\
                  cut:x:9\n";
    let check = |name, expected| assert_eq!(account(passwd, name), expected, "{name}");

    check("postgres", Some(ServerUser::Account { uid: 101, gid: 104 }));
    check("postgresql", Some(ServerUser::Account { uid: 7, gid: 8 }));
    check("nobody", None);
    check("broken", None);
    check("cut", None);
}
