//! The document that describes the routes, made from the routes themselves.

mod answers;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, Object, ObjectBuilder, OpenApi, OpenApiBuilder,
};
use utoipa_axum::router::OpenApiRouter;

use super::Api;

const ABOUT: &str = "AI photo generation made dependable with nothing but Postgres. Errors are \
    {error, code, requestId}: text for people, a word for programs, the id that stands in the logs. \
    Jobs of others are answered as jobs that are not there. Routes tagged core stay as they are.";

/// What all routes share.
pub(super) fn frame() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API key (safelight keys) or a JWT of your Supabase project",
        ))
        .build();
    let header = ApiKey::Header(ApiKeyValue::with_description("X-Api-Key", "An API key"));
    let token = ApiKey::Query(ApiKeyValue::with_description(
        "token",
        "The viewToken of one job, where no header can be sent",
    ));
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .security_scheme("key", SecurityScheme::ApiKey(header))
        .security_scheme("token", SecurityScheme::ApiKey(token))
        .build();
    let none: [&str; 0] = [];
    let tag = |name, about| {
        TagBuilder::new()
            .name(name)
            .description(Some(about))
            .build()
    };
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("safelight")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .build(),
        )
        .components(Some(components))
        .security(Some(
            ["bearer", "key", "token"].map(|name| SecurityRequirement::new(name, none)),
        ))
        .tags(Some([
            tag("core", "Stable from the first version on"),
            tag("extra", "What else there is"),
        ]))
        .build()
}

/// A text that is one of a few words.
pub(super) fn one_of(words: &[&str]) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words.iter().copied()))
        .build()
}

/// The document, as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Written(Bytes);

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "extra", security(()),
    responses((status = 200, body = Object, description = "OpenAPI 3.1")))]
pub(super) async fn document(Extension(Written(document)): Extension<Written>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, document).into_response()
}

/// The routes, which know their document.
pub(super) fn with_document(routes: OpenApiRouter<Api>) -> Router<Api> {
    let (router, document) = routes.split_for_parts();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    without_stars(&mut document);
    answers::complete(&mut document);
    router.layer(Extension(Written(document.to_string().into())))
}

/// A parameter that takes slashes has a star where routes are matched, which the document does not know.
fn without_stars(document: &mut Value) {
    if let Some(paths) = document["paths"].as_object_mut() {
        let named = std::mem::take(paths).into_iter();
        *paths = named
            .map(|(path, route)| (path.replace("{*", "{"), route))
            .collect();
    }
}
