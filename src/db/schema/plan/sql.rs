//! Names and texts as SQL takes them.

/// Notes what is taken away, in the transaction that takes it.
pub(super) fn taken(table: &str, kind: &str, name: &str, definition: &str) -> String {
    format!(
        "INSERT INTO public.photo_generation_adoption (\"table\", kind, name, definition)\n    VALUES ({}, {}, {}, {}) ON CONFLICT DO NOTHING;",
        literal(table),
        literal(kind),
        literal(name),
        literal(definition)
    )
}

/// Notes that the queue is the app's, with the rows it has: those are not pruned unless asked for. One
/// that was given back and is taken over again may have more.
pub(super) fn adopted(queue: &str) -> String {
    format!(
        "INSERT INTO public.photo_generation_adoption (\"table\", kind, name, definition)\n    SELECT {}, 'table', '', coalesce(max(id), 0)::text FROM public.{queue}\n    ON CONFLICT (\"table\", kind, name) DO UPDATE SET definition = excluded.definition;",
        literal(queue)
    )
}

/// A name as SQL takes it.
pub(in super::super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL takes it.
pub(super) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

pub(super) fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
