use super::*;

#[test]
fn prismas_parameters_are_tolerated() {
    let url = "postgresql://a:b@h:5432/d?schema=public&connection_limit=5&sslmode=disable";

    let address = Address::parse(url).expect("is an address");

    assert!(!address.pooled);
    assert_eq!(address.options.get_host(), "h");
}

#[test]
fn a_transaction_pooler_is_recognised_or_told() {
    let pooled = |url| Address::parse(url).expect("is an address").pooled;

    assert!(pooled("postgres://a@x.pooler.supabase.com:6543/postgres"));
    assert!(pooled("postgres://a@h:5432/d?pgbouncer=true"));
    assert!(!pooled("postgres://a@x.pooler.supabase.com:5432/postgres"));
}

#[test]
fn what_is_no_address_says_where_to_find_one() {
    for url in ["", "mysql://a/b", "localhost:5432"] {
        let error = Address::parse(url).expect_err("is no address");
        assert!(error.to_string().contains("Supabase"), "{url}");
    }
}
