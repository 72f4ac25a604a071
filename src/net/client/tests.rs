use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    // Somebody listens, so only the look-up can fail.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let url = format!("https://localhost:{port}/x.png");

    let error = Clients::new()
        .expect("clients")
        .request(Method::GET, Target::Public(url.parse().expect("a URL")))
        .timeout(Duration::from_secs(10))
        .send()
        .await
        .expect_err("is not connected");

    assert!(error.is_dns(), "{error:?}");
}

#[test]
fn one_address_inside_spoils_the_name() {
    let all_public = |addresses: &[&str]| {
        all_public(
            addresses
                .iter()
                .map(|text| text.parse().expect("an address"))
                .collect(),
        )
    };

    assert!(all_public(&["8.8.8.8:0", "[2606:4700::1111]:0"]).is_ok());
    assert!(all_public(&["8.8.8.8:0", "10.0.0.1:0"]).is_err());
    assert!(all_public(&["8.8.8.8:0", "[::ffff:10.0.0.1]:0"]).is_err());
    assert!(all_public(&[]).is_err());
}
