//! What is where.

use std::convert::Infallible;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::{Method, Request, StatusCode};
use serde::Serialize;

use crate::config::{Http, Token};
use crate::snapshot::Snapshot;

use super::access;
use super::answer::{Answer, Refused, answer, json, text};
use super::dashboard::Dashboard;
use super::events::Events;
use super::hashrate::HashrateHistory;
use super::jobs::Jobs;
use super::metrics;
use super::miners::Miners;
use super::query::Query;
use super::shards::{Shards, View};
use super::status::{Status, gives_work};
use super::upstreams::Upstreams;
use super::workers::Workers;

/// The description of the API, checked against its answers by a test.
const OPENAPI: &str = include_str!("openapi.json");

/// What is shown to who asks what there is.
const LIST: &str = "\
Millrace
/                     the page to look at
/metrics              for Prometheus
/healthz              200 while the process works
/readyz               200 while an upstream gives work
/api/v1/status        the farm in short
/api/v1/upstreams     each pool: its state, what was sent and acknowledged
/api/v1/miners        each connection: ?search= &problem= &sort= &order= &limit= &offset=
/api/v1/workers       each worker, also of the last day: likewise
/api/v1/hashrate      the last 24 hours: ?step= in minutes
/api/v1/jobs          the last jobs
/api/v1/events        what happened: ?after= &severity= &kind= &limit=
/api/v1/openapi.json  the description of all this
";

/// What is served, and to whom.
#[derive(Debug)]
pub(super) struct Routes {
    token: Option<Token>,
    miner_series: usize,
    started: Instant,
    shards: Shards,
    dashboard: Dashboard,
}

/// The answer of a probe.
#[derive(Debug, Serialize)]
struct Probe {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Routes {
    pub(super) fn new(http: &Http, shards: Shards) -> Self {
        Self {
            token: http.token.clone(),
            miner_series: http.miner_series,
            started: Instant::now(),
            shards,
            dashboard: Dashboard::new(),
        }
    }

    /// Makes those of other settings; the process is as old as it was.
    pub(super) fn changed(&self, http: &Http, shards: Shards) -> Self {
        Self {
            started: self.started,
            ..Self::new(http, shards)
        }
    }

    /// Answers a request, whatever it is.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let answered = self.find(&request).await;
        Ok(answered.unwrap_or_else(|refused| refused.answer(request.headers())))
    }

    async fn find(&self, request: &Request<Incoming>) -> Result<Answer, Refused> {
        let path = request.uri().path();
        let is_probe = matches!(path, "/healthz" | "/readyz");
        if !is_probe {
            access::check(self.token.as_ref(), request.headers())?;
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return Err(Refused::Method);
        }
        let mut query = Query::new(request.uri().query());
        let ok = StatusCode::OK;
        match path {
            "/api/v1/events" => {
                let events = Events::read(&mut query)?;
                query.finish()?;
                return Ok(json(ok, &events.of(&self.shards.snapshots().await?)));
            }
            "/api/v1/hashrate" => {
                let history = HashrateHistory::read(&mut query)?;
                query.finish()?;
                return Ok(json(ok, &history.of(&self.shards.snapshots().await?)));
            }
            "/api/v1/miners" => {
                let miners = Miners::read(&mut query)?;
                query.finish()?;
                return Ok(json(ok, &miners.of(&self.shards.censuses().await?)));
            }
            "/api/v1/workers" => {
                let workers = Workers::read(&mut query)?;
                query.finish()?;
                return Ok(json(ok, &workers.of(&self.shards.censuses().await?)));
            }
            _ => query.finish()?,
        }
        match path {
            "/api/v1" | "/api/v1/" => Ok(text(ok, LIST)),
            "/metrics" => self.metrics(request).await,
            "/healthz" => Ok(self.health().await),
            "/readyz" => Ok(self.readiness().await),
            "/api/v1/openapi.json" => Ok(answer(ok, "application/json", OPENAPI)),
            "/api/v1/status" => {
                let view = self.shards.snapshots().await?;
                Ok(json(ok, &Status::of(&view, self.started)))
            }
            "/api/v1/upstreams" => {
                let view = self.shards.snapshots().await?;
                Ok(json(ok, &Upstreams::of(&view)))
            }
            "/api/v1/jobs" => Ok(json(ok, &Jobs::of(&self.shards.snapshots().await?))),
            path => {
                let part = self.dashboard.find(path, request.headers());
                part.ok_or_else(|| Refused::NotFound(path.chars().take(100).collect()))
            }
        }
    }

    /// Writes the metrics in the form that the client asks for.
    async fn metrics(&self, request: &Request<Incoming>) -> Result<Answer, Refused> {
        let view = self.shards.snapshots().await?;
        let miners = match self.miner_series {
            0 => Vec::new(),
            most => metrics::strongest(&self.shards.censuses().await?, most),
        };
        let accept = request.headers().get(ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        let openmetrics = accept.is_some_and(|accept| accept.contains(metrics::OPENMETRICS));
        let (content_type, page) = metrics::page(view, miners, self.started, openmetrics);
        Ok(answer(StatusCode::OK, content_type, page))
    }

    /// Tells whether all drivers turn.
    async fn health(&self) -> Answer {
        match self.shards.snapshots().await {
            Ok(_) => probe(None),
            Err(unanswered) => probe(Some(unanswered.to_string())),
        }
    }

    /// Tells whether miners can be served.
    async fn readiness(&self) -> Answer {
        match self.shards.snapshots().await {
            Ok(view) => probe(unready(&view).map(str::to_owned)),
            Err(unanswered) => probe(Some(unanswered.to_string())),
        }
    }
}

fn probe(trouble: Option<String>) -> Answer {
    let (code, status) = match trouble {
        None => (StatusCode::OK, "ok"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let reason = trouble;
    json(code, &Probe { status, reason })
}

/// Tells why no miner can be served, where that is so.
fn unready(view: &View<Snapshot>) -> Option<&'static str> {
    let ready = view
        .shards
        .iter()
        .any(|it| gives_work(&it.shown.statistics));
    (!ready).then_some("no upstream gives work")
}
