//! How a statement gets a connection, directly or behind a transaction-mode pooler.
//!
//! sqlx sends a statement in two steps, parse and then execute, and behind a transaction-mode pooler
//! the second step may meet another connection to Postgres, where the statement is unknown or is
//! somebody else's. So there each statement is unnamed and has a transaction of its own around both
//! steps. That costs two more round trips, which is why a direct connection does without.

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr};

/// Our statements are written for this level, whatever the database's default is.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// The same behind a pooler, with what `pool` asks of a session, and only as long as the connection
/// to Postgres is ours.
const BEGIN_SHARED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL jit = off; \
     SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '5s'; \
     SET LOCAL timezone = 'UTC'";

/// Whose the connection to Postgres is between two transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    Ours,
    /// A transaction-mode pooler's.
    Anybodys,
}

/// A pool whose statements are right in either case. Used like the pool of sqlx.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    pub(super) pool: PgPool,
    pub(super) between: Between,
}

impl Connections {
    /// A transaction of several statements.
    pub(super) async fn begin(&self) -> Result<Transaction, Error> {
        let inner = match self.between {
            Between::Ours => self.pool.begin_with(BEGIN).await?,
            Between::Anybodys => self.pool.begin_with(BEGIN_SHARED).await?,
        };
        Ok(Transaction {
            inner,
            between: self.between,
        })
    }
}

/// Rolled back when it is dropped.
#[derive(Debug)]
pub(super) struct Transaction {
    inner: sqlx::Transaction<'static, Postgres>,
    between: Between,
}

impl Transaction {
    pub(super) async fn commit(self) -> Result<(), Error> {
        self.inner.commit().await
    }

    /// At once: what is dropped is rolled back a moment later, and holds its locks until then.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        self.inner.rollback().await
    }
}

impl<'c> Executor<'c> for &'c Connections {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.between {
            Between::Ours => self.pool.fetch_many(query),
            // Nothing is handed out that is not committed.
            Between::Anybodys => stream::once(async move {
                let mut transaction = self.begin().await?;
                let steps: Vec<_> = transaction.fetch_many(query).try_collect().await?;
                transaction.commit().await?;
                Ok::<_, Error>(stream::iter(steps).map(Ok))
            })
            .try_flatten()
            .boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.between {
            Between::Ours => self.pool.fetch_optional(query),
            Between::Anybodys => Box::pin(async move {
                let mut transaction = self.begin().await?;
                let row = transaction.fetch_optional(query).await?;
                transaction.commit().await?;
                Ok(row)
            }),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        self.pool.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        self.pool.describe(sql)
    }
}

impl<'c> Executor<'c> for &'c mut Transaction {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let connection: &mut PgConnection = &mut self.inner;
        match self.between {
            Between::Ours => connection.fetch_many(query),
            Between::Anybodys => connection.fetch_many(Unnamed(query)),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let connection: &mut PgConnection = &mut self.inner;
        match self.between {
            Between::Ours => connection.fetch_optional(query),
            Between::Anybodys => connection.fetch_optional(Unnamed(query)),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        self.inner.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        self.inner.describe(sql)
    }
}

/// A query that leaves no prepared statement behind.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}
