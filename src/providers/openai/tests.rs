//! Calls over real HTTP: to the simulator, which reads a form as strictly as OpenAI does, and to a
//! server that tells what came. What breaks off is the shared exchange's, and tested with Gemini.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::domain::AspectRatio;
use crate::domain::failure::{BlockReason, Limit};
use crate::domain::request::{InputFidelity, Options, OutputFormat};
use crate::providers::simulator::{DEFAULT_KEY, Simulator, SimulatorConfig};
use crate::providers::{PreparedPicture, http_client, parse_keys};

/// Far longer than any test takes, far shorter than a hung suite.
const LONG: Duration = Duration::from_secs(20);

fn openai(base_url: &str, keys: &str) -> OpenAi {
    // A second installation fails, and the first is the one that counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base_url = Url::parse(base_url).unwrap();
    OpenAi::new(http_client().unwrap(), base_url, parse_keys(keys).unwrap())
}

async fn simulator() -> Simulator {
    Simulator::start(SimulatorConfig::instant()).await.unwrap()
}

/// A picture that is one, as JPEG.
fn photo() -> PreparedPicture {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(30, 20)
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    PreparedPicture {
        mime: "image/jpeg",
        base64: BASE64_STANDARD.encode(bytes.into_inner()).into(),
        width: 30,
        height: 20,
    }
}

fn request(model: &str, pictures: usize) -> ImageRequest {
    ImageRequest {
        model: Model::from_name(model).unwrap(),
        prompt: "A red kite".into(),
        pictures: vec![photo(); pictures].into(),
        aspect_ratio: Some(AspectRatio::COMMON[7]),
        image_size: None,
        options: Options::default(),
        manner: crate::providers::Manner::default(),
    }
}

/// A request as the provider saw it.
struct Received {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A provider that gives every request the same answer and tells what it received.
async fn provider<A>(answer: A) -> (String, UnboundedReceiver<Received>)
where
    A: IntoResponse + Clone + Send + Sync + 'static,
{
    let (tell, received) = unbounded_channel();
    let service = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
        let _ = tell.send(Received {
            path: uri.to_string(),
            headers,
            body,
        });
        answer.clone()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(service)).await });
    (format!("http://{address}"), received)
}

#[track_caller]
fn picture(result: CallResult) -> crate::domain::failure::Answer {
    match result {
        CallResult::Picture(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_prompt_alone_is_a_generation() {
    let simulator = simulator().await;

    let result = openai(&simulator.base_url(), DEFAULT_KEY)
        .generate("default", &request("gpt-image-1.5", 0), LONG)
        .await;

    let answer = picture(result);
    let size = image::load_from_memory(&answer.bytes).unwrap();
    assert_eq!((size.width(), size.height()), (128, 192));
    let log = simulator.log();
    assert_eq!(answer.request_id.as_ref(), Some(&log[0].response_id));
    assert_eq!(
        (log[0].model.as_str(), log[0].images_in),
        ("gpt-image-1.5", 0)
    );
    assert_eq!(answer.usage.output_tokens, Some(1584));
    assert!(answer.usage.input_tokens > Some(0));
}

#[tokio::test]
async fn every_model_takes_the_form_that_is_made_for_it() {
    let simulator = simulator().await;
    let openai = openai(&simulator.base_url(), DEFAULT_KEY);

    for name in Provider::OpenAi.known_models() {
        for ratio in AspectRatio::COMMON {
            let mut request = request(name, 2);
            request.aspect_ratio = Some(*ratio);
            request.options = Options {
                output_format: OutputFormat::Webp,
                input_fidelity: Some(InputFidelity::High),
                ..Options::default()
            };
            let answer = picture(openai.generate("default", &request, LONG).await);
            let format = image::guess_format(&answer.bytes).unwrap();
            assert_eq!(format, image::ImageFormat::WebP, "{name} {ratio}");
        }
    }
    assert!(simulator.log().iter().all(|call| call.images_in == 2));
}

#[tokio::test]
async fn an_edit_is_a_form_with_a_name_and_a_type_for_each_picture() {
    let (url, mut received) = provider("{}").await;

    openai(&format!("{url}/proxy/v1/"), "hush-hush")
        .generate("default", &request("gpt-image-1", 2), LONG)
        .await;

    let seen = received.recv().await.unwrap();
    assert_eq!(seen.path, "/proxy/v1/images/edits");
    assert_eq!(seen.headers["authorization"], "Bearer hush-hush");
    let kind = seen.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("multipart/form-data; boundary="), "{kind}");
    let length = seen.headers["content-length"].to_str().unwrap();
    assert_eq!(length, seen.body.len().to_string());
    let body = String::from_utf8_lossy(&seen.body);
    for part in [
        "name=\"model\"\r\n\r\ngpt-image-1\r\n",
        "name=\"prompt\"\r\n\r\nA red kite\r\n",
        "name=\"n\"\r\n\r\n1\r\n",
        "name=\"size\"\r\n\r\n1024x1536\r\n",
        "name=\"quality\"\r\n\r\nmedium\r\n",
        "name=\"output_format\"\r\n\r\npng\r\n",
        "name=\"image[]\"; filename=\"image-1.jpeg\"\r\nContent-Type: image/jpeg\r\n",
        "name=\"image[]\"; filename=\"image-2.jpeg\"\r\nContent-Type: image/jpeg\r\n",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(!body.contains("response_format"), "{body}");
    assert!(!body.contains("input_fidelity"), "{body}");
}

#[tokio::test]
async fn an_address_without_a_path_is_that_of_version_one() {
    let (url, mut received) = provider("{}").await;

    for base in [url.clone(), format!("{url}/"), format!("{url}/v1")] {
        openai(&base, "key")
            .generate("default", &request("gpt-image-1", 0), LONG)
            .await;
        let seen = received.recv().await.unwrap();
        assert_eq!(seen.path, "/v1/images/generations", "{base}");
        assert_eq!(seen.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn a_silent_provider_makes_the_call_ambiguous_at_its_deadline() {
    let simulator = simulator().await;
    let mut request = request("gpt-image-1", 0);
    request.prompt = Arc::from("a lake [sim:hang]");

    let result = openai(&simulator.base_url(), DEFAULT_KEY)
        .generate("default", &request, Duration::from_millis(100))
        .await;

    match result {
        CallResult::Ambiguous(failure) => assert_eq!(failure.code, "call_timeout"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_that_the_provider_quotes_is_struck_out() {
    let error = json!({"error": {"message": "Incorrect API key provided: hush-hush."}});
    let (url, _received) = provider((StatusCode::UNAUTHORIZED, error.to_string())).await;

    let result = openai(&url, "hush-hush")
        .generate("default", &request("gpt-image-1", 0), LONG)
        .await;

    match result {
        CallResult::Limited(Limit::Blocked { reason, detail }) => {
            assert_eq!(reason, BlockReason::BadKey);
            assert_eq!(detail, "Incorrect API key provided: ***.");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_is_examined_without_a_call() {
    let simulator = simulator().await;
    let examine = async |url: &str, key: &str, model: &str| {
        let model = Model::from_name(model).unwrap();
        let mut findings = openai(url, key).examine("default", &model, LONG).await;
        assert_eq!(findings.len(), 1);
        findings.remove(0)
    };
    let url = simulator.base_url();

    assert_eq!(
        examine(&url, DEFAULT_KEY, "gpt-image-1.5").await,
        KeyFinding::Good
    );
    for (key, model, expected) in [
        ("wrong", "gpt-image-1.5", BlockReason::BadKey),
        (DEFAULT_KEY, "gpt-image-9", BlockReason::ModelGone),
    ] {
        match examine(&url, key, model).await {
            KeyFinding::Blocked { reason, .. } => assert_eq!(reason, expected, "{key} {model}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(simulator.log().is_empty());
    let (elsewhere, _received) = provider("<html>Please sign in</html>").await;
    let found = examine(&elsewhere, DEFAULT_KEY, "gpt-image-1.5").await;
    assert!(matches!(found, KeyFinding::Stranger(_)), "{found:?}");
    let refusal = r#"{"error": {"message": "You have insufficient permissions for this operation. Missing scopes: api.model.read."}}"#;
    let (restricted, _received) = provider((StatusCode::FORBIDDEN, refusal)).await;
    let found = examine(&restricted, DEFAULT_KEY, "gpt-image-1.5").await;
    assert!(matches!(found, KeyFinding::Untold(_)), "{found:?}");
}

#[test]
fn keys_are_not_printed_with_the_client() {
    let openai = openai("http://localhost", "shop:hush-hush");

    let printed = format!("{openai:?}");

    assert!(!printed.contains("hush-hush"), "{printed}");
    assert!(bearer(openai.keyrings.key_of("shop").unwrap()).is_sensitive());
}
