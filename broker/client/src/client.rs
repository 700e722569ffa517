//! The cluster as one thing: metadata kept, connections shared, calls repeated until a deadline.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire::{ErrorCode, Request};

use crate::connection::{Connection, deadline_in};
use crate::error::Error;
use crate::metadata::{Metadata, Topic};

/// Pause between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause; it doubles up to here.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long a topic's partitions are waited for that have no leader, while others have.
const LEADERS_WAIT: Duration = Duration::from_secs(1);
/// The longest that connecting takes before another broker is tried.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `HOST:PORT` of some brokers, separated by commas.
    pub bootstrap: String,
    /// What this client calls itself.
    pub client_id: String,
    /// How long one request may wait for its answer.
    pub request_timeout: Duration,
    /// How long a call may take, retries included.
    pub timeout: Duration,
    /// The largest answer that is read.
    pub response_bytes_max: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            bootstrap: "127.0.0.1:9092".to_owned(),
            client_id: "tidelog".to_owned(),
            request_timeout: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            response_bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// A handle to a cluster; clones share connections and metadata.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
    bootstrap: Vec<String>,
    metadata: Mutex<Arc<Metadata>>,
    connections: Mutex<HashMap<String, Arc<Slot>>>,
}

/// One address; the lock is held while connecting, so that callers share one connection.
#[derive(Debug, Default)]
struct Slot {
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// A client; nothing is sent before the first call.
    ///
    /// # Errors
    /// A bootstrap address is not `HOST:PORT`.
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        let addresses = config.bootstrap.split(',').map(str::trim).filter(|one| !one.is_empty());
        let bootstrap: Vec<String> = addresses.map(str::to_owned).collect();
        let good = |address: &&String| {
            let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            port.is_none_or(|port| port.is_err())
        };
        if let Some(address) = bootstrap.iter().find(good) {
            return Err(Error::BadAddress { address: address.clone() });
        }
        if bootstrap.is_empty() {
            return Err(Error::BadAddress { address: config.bootstrap });
        }
        let (metadata, connections) = (Mutex::default(), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { config, bootstrap, metadata, connections }) })
    }

    /// A handle to the same cluster with connections of its own. A broker answers the requests of
    /// one connection in order, so one that waits long, as joining a group does, holds up those
    /// behind it.
    #[must_use]
    pub fn apart(&self) -> Self {
        let (config, bootstrap) = (self.inner.config.clone(), self.inner.bootstrap.clone());
        let (metadata, connections) = (Mutex::new(self.metadata()), Mutex::default());
        Self { inner: Arc::new(Inner { config, bootstrap, metadata, connections }) }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// The view of the cluster so far.
    #[must_use]
    pub fn metadata(&self) -> Arc<Metadata> {
        Arc::clone(&locked(&self.inner.metadata))
    }

    /// A deadline one call from now.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        deadline_in(self.inner.config.timeout)
    }

    /// The deadline of one request, not after that of the call.
    pub(crate) fn request_deadline(&self, call: Instant) -> Instant {
        deadline_in(self.inner.config.request_timeout).min(call)
    }

    /// The connection to an address, made if there is none.
    async fn connect(&self, address: &str, deadline: Instant) -> Result<Arc<Connection>, Error> {
        let slot =
            Arc::clone(locked(&self.inner.connections).entry(address.to_owned()).or_default());
        let mut held = slot.connection.lock().await;
        if let Some(connection) = held.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        let config = &self.inner.config;
        let deadline = deadline_in(CONNECT_TIME_MAX).min(deadline);
        let (id, limit) = (config.client_id.as_str(), config.response_bytes_max);
        let connection = Arc::new(Connection::open(address, id, limit, deadline).await?);
        *held = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// The connection to a broker.
    ///
    /// # Errors
    /// The broker is unknown, or cannot be reached.
    pub async fn broker(&self, id: i32, deadline: Instant) -> Result<Arc<Connection>, Error> {
        let address = self.metadata().address(id);
        let address = address.ok_or_else(|| Error::Missing { about: format!("broker {id}") })?;
        self.connect(&address, deadline).await
    }

    /// The connection to some broker.
    ///
    /// # Errors
    /// None can be reached; the error is the last one's.
    pub async fn any(&self, deadline: Instant) -> Result<Arc<Connection>, Error> {
        let known: Vec<String> =
            self.metadata().brokers.values().map(crate::metadata::Broker::address).collect();
        let mut last = None;
        for address in known.iter().chain(&self.inner.bootstrap) {
            match self.connect(address, deadline).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::Missing { about: "brokers".to_owned() }))
    }

    /// Asks some broker.
    ///
    /// # Errors
    /// As [`Connection::call`]; failures worth it are repeated until the deadline.
    pub async fn call_any<M: Request>(
        &self,
        request: &M,
        deadline: Instant,
    ) -> Result<M::Response, Error> {
        self.retry(M::NAME, deadline, async || {
            let connection = self.any(deadline).await?;
            connection.call(request, self.request_deadline(deadline)).await
        })
        .await
    }

    /// Asks one broker, or any.
    ///
    /// # Errors
    /// As [`Client::call_any`], or there is no such broker.
    pub(crate) async fn call_some<M: Request>(
        &self,
        broker: Option<i32>,
        request: &M,
        deadline: Instant,
    ) -> Result<M::Response, Error> {
        let Some(id) = broker else { return self.call_any(request, deadline).await };
        self.retry(M::NAME, deadline, async || {
            let view = self.refresh(&[], false, deadline).await?;
            if !view.brokers.contains_key(&id) {
                return Err(Error::NoBroker { id, known: view.brokers.keys().copied().collect() });
            }
            let connection = self.broker(id, deadline).await?;
            connection.call(request, self.request_deadline(deadline)).await
        })
        .await
    }

    /// Asks the broker that answers for the controller.
    ///
    /// # Errors
    /// As [`Client::call_any`].
    pub async fn call_controller<M: Request>(
        &self,
        request: &M,
        deadline: Instant,
    ) -> Result<M::Response, Error> {
        self.retry(M::NAME, deadline, async || {
            self.refresh(&[], false, deadline).await?;
            let controller = self.metadata().controller;
            let connection = match self.broker(controller, deadline).await {
                Ok(connection) => connection,
                Err(_) => self.any(deadline).await?,
            };
            connection.call(request, self.request_deadline(deadline)).await
        })
        .await
    }

    /// Repeats `attempt` while its failures are worth it and time is left: the deadline is one of
    /// the configured time-out.
    pub(crate) async fn retry<T, F: Future<Output = Result<T, Error>>>(
        &self,
        what: &str,
        deadline: Instant,
        attempt: impl Fn() -> F,
    ) -> Result<T, Error> {
        let after = self.inner.config.timeout;
        let mut pause = RETRY_PAUSE;
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                // The last try had only what the others left; the caller asked for all of it.
                Err(Error::TimedOut { what, last, .. }) if Instant::now() >= deadline => {
                    return Err(Error::TimedOut { what, after, last });
                }
                Err(error) if !error.is_retriable() => return Err(error),
                Err(error) => error,
            };
            if Instant::now() + pause >= deadline {
                let what = what.to_owned();
                return Err(Error::TimedOut { what, after, last: Some(Box::new(error)) });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    /// Asks for these topics and takes the answer into the view; no topics means brokers only.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn refresh(
        &self,
        topics: &[&str],
        create: bool,
        deadline: Instant,
    ) -> Result<Arc<Metadata>, Error> {
        self.refresh_named(Some(topics), create, deadline).await
    }

    /// Asks for all topics and takes the answer into the view.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn refresh_all(&self, deadline: Instant) -> Result<Arc<Metadata>, Error> {
        self.refresh_named(None, false, deadline).await
    }

    async fn refresh_named(
        &self,
        topics: Option<&[&str]>,
        create: bool,
        deadline: Instant,
    ) -> Result<Arc<Metadata>, Error> {
        let named = |topics: &[&str]| {
            let topic = |name: &&str| MetadataRequestTopic {
                name: Some((*name).to_owned()),
                ..MetadataRequestTopic::default()
            };
            topics.iter().map(topic).collect()
        };
        let request = MetadataRequest {
            topics: topics.map(named),
            allow_auto_topic_creation: create,
            ..MetadataRequest::default()
        };
        let connection = self.any(deadline).await?;
        let response = connection.call(&request, self.request_deadline(deadline)).await?;
        Error::check(response.error_code, None, "metadata")?;
        let mut held = locked(&self.inner.metadata);
        *held = Arc::new(held.with(response));
        Ok(Arc::clone(&held))
    }

    /// A topic with a leader for every partition; asked for again until it has them, for a while:
    /// a partition that stays without does not keep its neighbours from work. With `create` the
    /// broker may make it.
    ///
    /// # Errors
    /// The topic is not there or has no leaders in time, or its name is not allowed.
    pub async fn topic(
        &self,
        name: &str,
        create: bool,
        deadline: Instant,
    ) -> Result<Arc<Topic>, Error> {
        if let Some(topic) = self.metadata().topics.get(name) {
            return Ok(Arc::clone(topic));
        }
        self.topic_anew(name, create, deadline).await
    }

    /// As [`Client::topic`], asked for even when it is known.
    ///
    /// # Errors
    /// As [`Client::topic`].
    pub async fn topic_anew(
        &self,
        name: &str,
        create: bool,
        deadline: Instant,
    ) -> Result<Arc<Topic>, Error> {
        let about = format!("topic {name}");
        let settled = Instant::now() + LEADERS_WAIT;
        self.retry(&about, deadline, async || {
            let view = self.refresh(&[name], create, deadline).await?;
            let Some(topic) = view.topics.get(name) else {
                let code = view.absent.get(name).copied().unwrap_or(ErrorCode::UnknownServerError);
                // Without creation, waiting does not make the topic appear.
                let absent = code == ErrorCode::UnknownTopicOrPartition && !create;
                let error = Error::Broker { about: about.clone(), code, message: None };
                return Err(if absent { Error::NoTopic { topic: name.to_owned() } } else { error });
            };
            let led =
                topic.partitions.iter().filter(|partition| partition.leader.is_some()).count();
            let enough = led > 0 && Instant::now() >= settled;
            if led < topic.partitions.len() && !enough {
                let code = ErrorCode::LeaderNotAvailable;
                return Err(Error::Broker { about: about.clone(), code, message: None });
            }
            Ok(Arc::clone(topic))
        })
        .await
    }

    /// Forgets a topic, so that the next use asks anew.
    pub(crate) fn forget(&self, topic: &str) {
        let mut held = locked(&self.inner.metadata);
        if held.topics.contains_key(topic) {
            let mut view = Metadata::clone(&held);
            view.topics.remove(topic);
            *held = Arc::new(view);
        }
    }
}
