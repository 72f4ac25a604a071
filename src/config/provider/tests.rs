use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    provider: ProviderArgs,
}

fn args(words: &[&str]) -> ProviderArgs {
    let words = std::iter::once("test").chain(words.iter().copied());
    Command::try_parse_from(words).unwrap().provider
}

#[test]
fn the_default_provider_is_as_wished_else_the_one_with_a_key_else_gemini() {
    let check = |words: &[&str], expected: Provider| {
        assert_eq!(args(words).serves_first(), expected, "{words:?}");
    };
    let (gemini, openai) = ("--gemini-api-key=a", "--openai-api-key=b");

    check(&[gemini], Provider::Gemini);
    check(&[openai], Provider::OpenAi);
    check(&[openai, gemini], Provider::Gemini);
    check(
        &[openai, gemini, "--default-provider=openai"],
        Provider::OpenAi,
    );
    check(&[openai, "--default-provider=Gemini"], Provider::Gemini);
    check(
        &["--openai-api-keys=a:b,c:d", "--gemini-api-key= "],
        Provider::OpenAi,
    );
    let nobody = ["test", "--default-provider=nobody"];
    assert!(Command::try_parse_from(nobody).is_err());
}

#[test]
fn a_provider_without_a_key_has_no_accounts_but_one_must_have_some() {
    let both = args(&["--openai-api-keys=shop:b,blog:d"]);

    assert!(both.accounts(Provider::Gemini).unwrap().is_empty());
    assert_eq!(both.accounts(Provider::OpenAi).unwrap().len(), 2);
    let error = args(&[])
        .accounts(Provider::OpenAi)
        .unwrap_err()
        .to_string();
    assert!(error.contains("OPENAI_API_KEY"), "{error}");
    let error = args(&["--openai-api-key=a b"]).accounts(Provider::OpenAi);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("OPENAI_API_KEY: "), "{error}");
}

#[test]
fn a_default_model_must_be_one_of_its_providers() {
    let model = |words: &[&str], provider| match args(words).model(provider) {
        Ok(name) => name.map(str::to_owned).ok_or_else(String::new),
        Err(error) => Err(error.to_string()),
    };

    assert_eq!(
        model(&["--openai-model-name=gpt-image-2"], Provider::OpenAi),
        Ok("gpt-image-2".to_owned())
    );
    assert_eq!(model(&[], Provider::OpenAi), Err(String::new()));
    let error = model(
        &["--openai-model-name=gemini-3-pro-image"],
        Provider::OpenAi,
    );
    assert_eq!(
        error.unwrap_err(),
        "OPENAI_MODEL_NAME=\"gemini-3-pro-image\" is not an image model of OpenAI; for instance gpt-image-1.5"
    );
}

#[test]
fn an_address_is_one_of_http_with_a_host_and_no_more_than_a_path() {
    let check = |url: &str, expected: Result<&str, &str>| {
        let found = args(&[&format!("--openai-base-url={url}")]).base_url(Provider::OpenAi);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.as_str(), expected, "{url}"),
            (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{url}: {error}"),
            (found, _) => panic!("{url}: {found:?}"),
        }
    };

    check("https://api.openai.com/v1", Ok("https://api.openai.com/v1"));
    check("http://localhost:8089", Ok("http://localhost:8089/"));
    check("", Ok(default_url(Provider::OpenAi)));
    check(
        "localhost:8089",
        Err("OPENAI_BASE_URL must be http:// or https://"),
    );
    check("unix:/run/openai", Err("OPENAI_BASE_URL must be"));
    check(
        "https://a.example/v1?api-version=1",
        Err("OPENAI_BASE_URL must be"),
    );
    check("https://a.example/v1#x", Err("OPENAI_BASE_URL must be"));
    check("a.example", Err("OPENAI_BASE_URL is not a URL"));
}
