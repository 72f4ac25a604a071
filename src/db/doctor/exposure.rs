//! What the roles of a public API can reach. Supabase serves schema `public` to the world as
//! `anon` and `authenticated`, so that a grant to them is a grant to anybody.

use crate::db::{Db, DbError};

/// The roles of the API that exist here, as SQL writes a list of them; empty where there are none.
#[derive(Debug)]
pub struct ApiRoles(pub Option<String>);

pub async fn api_roles(db: &Db) -> Result<ApiRoles, DbError> {
    let roles = sqlx::query_scalar!(
        "SELECT string_agg(quote_ident(rolname), ', ' ORDER BY rolname)
         FROM pg_roles WHERE rolname IN ('anon', 'authenticated')"
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(ApiRoles(roles))
}

/// A table of ours that row level security does not guard, or that is granted away.
#[derive(Debug)]
pub struct OpenTable {
    /// As SQL writes it.
    pub name: String,
    /// The app's own, possibly: the queue and the batches may be adopted.
    pub shared: bool,
    pub guarded: bool,
    /// `anon: SELECT, INSERT`; nothing when nothing is granted.
    pub granted: Option<String>,
}

impl OpenTable {
    pub fn guard_sql(&self) -> String {
        format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY;", self.name)
    }

    pub fn revoke_sql(&self, roles: &str) -> String {
        format!("REVOKE ALL ON {} FROM PUBLIC, {roles};", self.name)
    }
}

pub async fn open_tables(db: &Db) -> Result<Vec<OpenTable>, DbError> {
    Ok(sqlx::query_as!(
        OpenTable,
        r#"SELECT format('public.%I', relname) AS "name!",
                  relname IN ('photo_generation_queue', 'photo_generation_batches') AS "shared!",
                  relrowsecurity AS "guarded!",
                  (SELECT string_agg(format('%s: %s', rolname, rights), '; ' ORDER BY rolname)
                   FROM (SELECT rolname, string_agg(may, ', ' ORDER BY nth) AS rights
                         FROM pg_roles,
                              unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'])
                                  WITH ORDINALITY AS wanted (may, nth)
                         WHERE rolname IN ('anon', 'authenticated')
                           AND (has_table_privilege(rolname, pg_class.oid, may)
                                OR (nth <= 3 AND has_any_column_privilege(rolname, pg_class.oid,
                                        CASE WHEN nth <= 3 THEN may ELSE 'SELECT' END)))
                         GROUP BY rolname) AS by_role) AS granted
           FROM pg_class
           WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
             AND relname LIKE 'photo\_generation\_%'
           ORDER BY relname = 'photo_generation_queue' DESC, relname"#
    )
    .fetch_all(&db.pool)
    .await?
    .into_iter()
    .filter(|table| !table.guarded || table.granted.is_some())
    .collect())
}

/// A function of ours that the API's roles may call, with rights that are not theirs.
#[derive(Debug)]
pub struct OpenFunction {
    pub name: String,
}

impl OpenFunction {
    pub fn revoke_sql(&self, roles: &str) -> String {
        format!("REVOKE ALL ON FUNCTION {} FROM PUBLIC, {roles};", self.name)
    }
}

/// Those that run as their owner, and the two that an app's code hangs on. Trigger functions cannot
/// be called; the others can do no more than their caller.
pub async fn open_functions(db: &Db) -> Result<Vec<OpenFunction>, DbError> {
    Ok(sqlx::query_as!(
        OpenFunction,
        r#"SELECT format('public.%I(%s)', proname, pg_get_function_identity_arguments(oid)) AS "name!"
           FROM pg_proc
           WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'photo\_generation\_%'
             AND prokind = 'f' AND prorettype <> 'trigger'::regtype
             AND (prosecdef OR proname IN ('photo_generation_on_image', 'photo_generation_call_hook'))
             AND EXISTS (SELECT FROM pg_roles
                         WHERE rolname IN ('anon', 'authenticated')
                           AND has_function_privilege(rolname, pg_proc.oid, 'EXECUTE'))
           ORDER BY proname"#
    )
    .fetch_all(&db.pool)
    .await?)
}
