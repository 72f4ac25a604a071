use super::*;
use crate::providers::simulator::FaultKind;

#[test]
fn the_help_names_every_fault() {
    let words: Vec<&str> = HELP.split_whitespace().collect();
    for (name, _) in FaultKind::ALL {
        assert!(words.contains(&name), "{name}");
    }
}

#[test]
fn latency_is_one_time_or_two() {
    let ms = Duration::from_millis;
    let check = |text: &str, expected: Option<RangeInclusive<Duration>>| {
        assert_eq!(text.parse().ok(), expected.map(Latency), "{text}");
    };

    check("1.5s..4s", Some(ms(1500)..=ms(4000)));
    check("0..250ms", Some(ms(0)..=ms(250)));
    check("2s", Some(ms(2000)..=ms(2000)));
    check("4s..1s", None);
    check("fast", None);
    check("1s..", None);
}

#[test]
fn a_key_has_an_account() {
    let check = |text: &str, expected: Option<(&str, &str)>| {
        let expected = expected.map(|(account, key)| {
            Key(SimAccount {
                key: key.to_owned(),
                account: account.to_owned(),
            })
        });
        assert_eq!(text.parse().ok(), expected, "{text}");
    };

    check("team-a:secret", Some(("team-a", "secret")));
    check("secret", None);
    check(":secret", None);
    check("team-a:", None);
}

#[test]
fn the_greeting_says_how_to_point_a_worker_at_it() {
    let greeting = greeting("http://127.0.0.1:8089", "secret");

    for provider in ["GEMINI", "OPENAI"] {
        let command = format!(
            "{provider}_BASE_URL=http://127.0.0.1:8089 {provider}_API_KEY=secret safelight worker"
        );
        assert!(greeting.contains(&command), "{greeting}");
    }
}
