//! How many calls a minute OpenAI takes, in the words of its refusal: "... on input-images per min: Limit 5,
//! Used 5, Requested 1."
//!
//! Of requests and images only, since a call is about one of each: a call with more pictures uses more of
//! it, and then this is the most that can be. A limit of tokens says nothing of calls.

/// What is counted, as the sentence has it.
const COUNTED: [&str; 2] = ["requests per min", "images per min"];
const LIMIT: &str = "Limit ";

pub(super) fn per_minute(message: &str) -> Option<i32> {
    let of = |counted| message.split_once(counted).map(|(_, rest)| rest);
    let rest = COUNTED.into_iter().find_map(of)?;
    let (_, number) = rest.split_once(LIMIT)?;
    let end = number.find(|c: char| !c.is_ascii_digit());
    let (digits, after) = number.split_at(end.unwrap_or(number.len()));
    // "Limit 500 per day" is another one.
    let is_of_minute = !after.trim_start().starts_with("per ");
    let most = digits.parse().ok().filter(|most| *most > 0);
    most.filter(|_| is_of_minute)
}

#[cfg(test)]
mod tests;
