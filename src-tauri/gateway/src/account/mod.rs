//! The one who may use /admin: a password, sessions, and tickets that open the door once. Knows nothing of cookies.

mod ended;
mod losses;
mod password;
mod spare;
mod throttle;
mod ticket;

use std::{net::IpAddr, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::{
    model::{Saying, now},
    store::{
        Admin, Db, DbError, NewSession, SessionRow, admin, delete_other_sessions, delete_session, insert_admin, insert_session,
        list_sessions, session_by_token, set_admin_password, touch_session,
    },
};

pub use password::{PASSWORD_MAX, PASSWORD_MIN};
pub use ticket::Tickets;

use ended::{Ended, Which, which};
use losses::Losses;
use password::{hash, verify};
use spare::Spare;
use throttle::{Guesser, Throttle};

/// A session that nobody used for so long has ended.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// A session ends after this, used or not.
const ABSOLUTE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The time of last use is written at most so often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Passwords that are hashed at once: each takes 19 MB and a processor.
const HASHING: usize = 2;

/// Longest user name, in characters.
pub const USERNAME_MAX: usize = 64;

/// Longest description of a browser that is kept, in bytes.
const AGENT_MAX: usize = 256;

/// Why the door stays shut.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is an account already.
    #[error("there is an account already")]
    AlreadySetUp,
    /// There is none yet.
    #[error("there is no account yet")]
    NotSetUp,
    /// The ticket is unknown, used or too old.
    #[error("the ticket is not valid")]
    WrongTicket,
    /// Wrong name or password.
    #[error("name or password is wrong")]
    WrongCredentials,
    /// This takes the password once more, and none was given.
    #[error("this takes the password once more")]
    PasswordNeeded,
    /// Too many attempts; try again after this.
    #[error("too many attempts")]
    TooMany(Duration),
    /// The name cannot be used.
    #[error("the name must have 1 to {USERNAME_MAX} characters")]
    BadUsername,
    /// The password cannot be used.
    #[error("{0}")]
    BadPassword(Saying),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Hashing failed.
    #[error("the password could not be hashed")]
    Hash,
}

/// Who is there, and what is known of the one who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The session's number.
    pub session: i64,
    /// The account's name.
    pub username: String,
}

/// Where a session comes from.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The address.
    pub address: IpAddr,
    /// What the browser says of itself.
    pub agent: String,
    /// The number of its session, if it has one.
    pub session: Option<i64>,
}

/// The token of a new session: 256 random bits, in hexadecimal. Shown once.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// For the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A handle; clones share everything.
#[derive(Clone)]
pub struct Account {
    db: Db,
    tickets: Arc<Tickets>,
    throttle: Arc<Throttle>,
    confirming: Arc<Throttle>,
    hashing: Arc<Semaphore>,
    losses: Arc<Losses>,
    spare: Arc<Spare>,
    ended: Arc<Ended>,
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Account {
    /// Over an opened database; `tickets` open the door once.
    pub fn new(db: Db, tickets: Tickets) -> Self {
        Self {
            db,
            tickets: Arc::new(tickets),
            throttle: Arc::default(),
            confirming: Arc::default(),
            hashing: Arc::new(Semaphore::new(HASHING)),
            losses: Arc::default(),
            spare: Arc::default(),
            ended: Arc::default(),
        }
    }

    /// The account's name; `None` before it was set up.
    ///
    /// # Errors
    /// [`AccountError::Db`].
    pub async fn username(&self) -> Result<Option<String>, AccountError> {
        Ok(self.db.read(admin).await?.map(|admin| admin.username))
    }

    /// The tickets.
    pub fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Makes the account; the ticket is used up only if that succeeds.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_up(&self, ticket: &str, username: &str, password: &str, visitor: &Visitor) -> Result<Token, AccountError> {
        let attempt = self.throttle.begin(visitor.address)?;
        if self.username().await?.is_some() {
            attempt.succeeded();
            return Err(AccountError::AlreadySetUp);
        }
        if !self.tickets.is_valid(ticket) {
            return Err(AccountError::WrongTicket);
        }
        attempt.succeeded();
        self.create(username, password).await?;
        self.tickets.use_up(ticket);
        tracing::info!(event = "account_made", username, "the admin account was made");
        self.open_session(visitor).await
    }

    /// Makes the account from what the environment says.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn create(&self, username: &str, password: &str) -> Result<(), AccountError> {
        let username = username.trim();
        if username.is_empty() || username.chars().count() > USERNAME_MAX || username.chars().any(char::is_control) {
            return Err(AccountError::BadUsername);
        }
        password::check(password, username).map_err(AccountError::BadPassword)?;
        let row = Admin { username: username.to_owned(), password: self.hashed(password).await? };
        let made = self.db.write(move |t| insert_admin(t, &row, now())).await?;
        if made { Ok(()) } else { Err(AccountError::AlreadySetUp) }
    }

    /// Opens a session for who knows name and password.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn log_in(&self, username: &str, password: &str, visitor: &Visitor) -> Result<Token, AccountError> {
        let attempt = self.throttle.begin(visitor.address)?;
        let row = self.db.read(admin).await?;
        // An unknown name takes as long as a wrong password.
        let stored = row.as_ref().map(|admin| admin.password.clone());
        let outdated = stored.as_deref().is_some_and(password::is_outdated);
        let known = row.is_some_and(|admin| admin.username == username.trim());
        if !self.verified(password, stored).await? || !known {
            tracing::warn!(event = "sign_in_failed", address = %visitor.address, "a sign-in failed");
            return Err(AccountError::WrongCredentials);
        }
        attempt.succeeded();
        if outdated {
            // Only now the password is at hand. If the disk is full, the next time will do.
            let hashed = self.hashed(password).await?;
            if let Err(error) = self.db.write(move |t| set_admin_password(t, &hashed, now())).await {
                tracing::warn!(%error, "the password's hash cannot be renewed");
            }
        }
        self.open_session(visitor).await
    }

    /// Opens a session for who holds a ticket, which is used up.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn log_in_by_ticket(&self, ticket: &str, visitor: &Visitor) -> Result<Token, AccountError> {
        if self.username().await?.is_none() {
            return Err(AccountError::NotSetUp);
        }
        // Nobody guesses 256 bits. So a good one passes also while wrong passwords are slowed down: the windows of the desktop
        // app come from the same address as whoever mistyped. And a wrong one does not count: any page in the user's browser
        // can send some, and would shut the user out.
        if !self.tickets.use_up(ticket) {
            return Err(AccountError::WrongTicket);
        }
        self.open_session(visitor).await
    }

    async fn open_session(&self, visitor: &Visitor) -> Result<Token, AccountError> {
        let token = Token(ticket::random().ok_or(AccountError::Hash)?);
        let mut agent = visitor.agent.clone();
        agent.truncate(agent.floor_char_boundary(AGENT_MAX));
        let row = NewSession { token: digest(token.expose()), at: now(), address: visitor.address.to_string(), agent };
        let ended = (now() - ms(IDLE), now() - ms(ABSOLUTE));
        let kept = row.clone();
        match self.db.write(move |t| insert_session(t, &row, ended)).await {
            // Writing works again.
            Ok(_) => {
                if let Err(error) = self.settle().await {
                    tracing::debug!(%error, "the end of a session cannot be written yet");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a session cannot be written; it is kept in memory, so that somebody can make room");
                self.spare.open(kept);
            }
        }
        Ok(token)
    }

    /// Writes which sessions have ended while the database could not be told. To be called now and then, and at the end of the
    /// program: what is owed then comes back with the next start.
    ///
    /// # Errors
    /// [`AccountError::Db`]; it is still owed then.
    pub async fn settle(&self) -> Result<(), AccountError> {
        let owed = self.ended.list();
        if owed.is_empty() {
            return Ok(());
        }
        let told = owed.clone();
        self.db.write(move |t| owed.iter().try_for_each(|(id, created_at)| delete_session(t, *id, *created_at).map(drop))).await?;
        self.ended.forget(&told);
        Ok(())
    }

    /// Who the holder of `token` is; `None` if its session has ended.
    ///
    /// # Errors
    /// [`AccountError::Db`].
    pub async fn who(&self, token: &str) -> Result<Option<Signed>, AccountError> {
        let token = digest(token);
        let present = now();
        let spare = self.spare.used(&token, present);
        let found = match spare {
            Some(row) => self.username().await?.map(|username| (row, username)),
            None => self.db.read(move |c| session_by_token(c, &token)).await?,
        };
        let Some((row, username)) = found.filter(|(row, _)| !self.ended.has(row)) else { return Ok(None) };
        let has_ended = row.seen_at < present - ms(IDLE) || row.created_at < present - ms(ABSOLUTE);
        let noted = if has_ended {
            self.end(row.id).await.map(drop)
        } else if row.id >= 0 && row.seen_at < present - ms(TOUCH_EVERY) {
            let session = row.id;
            self.db.write(move |t| touch_session(t, session, present)).await.map_err(AccountError::from)
        } else {
            Ok(())
        };
        // No reason to shut anybody out: the disk may be full.
        if let Err(error) = noted {
            tracing::debug!(%error, "the use of a session cannot be noted");
        }
        Ok((!has_ended).then_some(Signed { session: row.id, username }))
    }

    /// All sessions that have not ended, the latest first.
    ///
    /// # Errors
    /// [`AccountError::Db`].
    pub async fn sessions(&self) -> Result<Vec<SessionRow>, AccountError> {
        let (idle, absolute) = (now() - ms(IDLE), now() - ms(ABSOLUTE));
        let rows = self.db.read(list_sessions).await?;
        let lives = |row: &SessionRow| row.seen_at >= idle && row.created_at >= absolute && !self.ended.has(row);
        Ok(self.spare.list().into_iter().rev().chain(rows).filter(lives).collect())
    }

    /// Ends a session at once, even while that cannot be written; whether there was one.
    ///
    /// # Errors
    /// [`AccountError::Db`] if the database cannot even be read.
    pub async fn end(&self, session: i64) -> Result<bool, AccountError> {
        if self.spare.end(session) {
            return Ok(true);
        }
        let rows = self.db.read(list_sessions).await?;
        let Some(ended) = rows.iter().find(|row| row.id == session && !self.ended.has(row)).map(which) else { return Ok(false) };
        self.ended.note(&[ended]);
        let written = self.db.write(move |t| delete_session(t, ended.0, ended.1).map(drop)).await;
        self.told(&[ended], written);
        Ok(true)
    }

    /// Ends all sessions but this one, as [`Self::end`] does.
    ///
    /// # Errors
    /// [`AccountError::Db`] if the database cannot even be read.
    pub async fn end_others(&self, session: i64) -> Result<(), AccountError> {
        self.spare.end_others(session);
        let rows = self.db.read(list_sessions).await?;
        let others: Vec<Which> = rows.iter().filter(|row| row.id != session).map(which).collect();
        self.ended.note(&others);
        let written = self.db.write(move |t| delete_other_sessions(t, session)).await;
        self.told(&others, written);
        Ok(())
    }

    /// Whether it could be written that these have ended; if not, it is owed.
    fn told(&self, ended: &[Which], written: Result<(), DbError>) {
        match written {
            Ok(()) => self.ended.forget(ended),
            Err(error) => tracing::warn!(%error, "the end of a session cannot be written yet; it holds all the same"),
        }
    }

    /// Asks who is signed in for the password once more, before something that a borrowed session must not do.
    ///
    /// # Errors
    /// [`AccountError::PasswordNeeded`], [`AccountError::WrongCredentials`] and what else may fail.
    pub async fn confirm(&self, password: Option<&str>, visitor: &Visitor) -> Result<(), AccountError> {
        let password = password.filter(|password| !password.is_empty()).ok_or(AccountError::PasswordNeeded)?;
        // Apart from sign-ins: strangers who guess must not keep out who is signed in already.
        let guesser = visitor.session.map_or_else(|| Guesser::from(visitor.address), Guesser::Session);
        let attempt = self.confirming.begin(guesser)?;
        let stored = self.db.read(admin).await?.map(|admin| admin.password);
        if !self.verified(password, stored).await? {
            return Err(AccountError::WrongCredentials);
        }
        attempt.succeeded();
        Ok(())
    }

    /// Leave to delete so many images for ever. A few go without the password; see [`losses`].
    ///
    /// # Errors
    /// As [`Self::confirm`].
    pub async fn confirm_loss(&self, count: usize, password: Option<&str>, visitor: &Visitor) -> Result<(), AccountError> {
        if password.is_none() && self.losses.take(count) {
            return Ok(());
        }
        self.confirm(password, visitor).await
    }

    /// Changes the password and ends all other sessions.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn change_password(&self, signed: &Signed, old: &str, new: &str, visitor: &Visitor) -> Result<(), AccountError> {
        self.confirm(Some(old), visitor).await?;
        password::check(new, &signed.username).map_err(AccountError::BadPassword)?;
        let (hashed, session) = (self.hashed(new).await?, signed.session);
        self.db
            .write(move |t| {
                set_admin_password(t, &hashed, now())?;
                delete_other_sessions(t, session)
            })
            .await?;
        self.spare.end_others(session);
        tracing::info!(event = "password", "the admin password was changed; other sessions have ended");
        Ok(())
    }

    async fn hashed(&self, password: &str) -> Result<String, AccountError> {
        let _permit = self.hashing.acquire().await.map_err(|_| AccountError::Hash)?;
        let password = password.to_owned();
        tokio::task::spawn_blocking(move || hash(&password)).await.ok().flatten().ok_or(AccountError::Hash)
    }

    async fn verified(&self, password: &str, stored: Option<String>) -> Result<bool, AccountError> {
        let _permit = self.hashing.acquire().await.map_err(|_| AccountError::Hash)?;
        let password = password.to_owned();
        tokio::task::spawn_blocking(move || verify(&password, stored.as_deref())).await.map_err(|_| AccountError::Hash)
    }
}
