use super::Api;
use super::signing::Moment;
pub(super) struct Signed {
    pub(super) url: String,
    pub(super) expires: Moment,
}
pub(super) fn signed(api: &Api, key: &str, now: Moment) -> Option<Signed> {
    let expires = now.end_of(api.settings().signed_url_life);
    Some(Signed {
        url: format!(
            "{}/files/{key}?expires={}",
            api.settings().public_url,
            expires.0
        ),
        expires,
    })
}
