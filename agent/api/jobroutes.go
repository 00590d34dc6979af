package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"wpmend/agent"
)

// Job is a piece of work that somebody asked for.
type Job struct {
	ID      string        `json:"id" example:"01KB2M6Q7T9S3V5X8Y0Z1A2B3C"`
	Kind    string        `json:"kind" enum:"check,bisect,heal"`
	Site    agent.SiteRef `json:"site"`
	State   string        `json:"state" enum:"running,done,failed,cancelled" doc:"done says that there is a result, whatever it says of the site."`
	By      string        `json:"by" example:"alice" doc:"Who asked for it."`
	Created time.Time     `json:"created"`
	Ended   time.Time     `json:"ended,omitzero"`
	Result  Result        `json:"result,omitzero" doc:"Of a job that is done: the object that the command gives with --json."`
	Error   *Problem      `json:"error,omitempty" doc:"Of a job that failed."`
}

// Result is what a job found: a CheckReport, a BisectReport or a HealReport.
type Result struct{ report any }

// IsZero says that there is none.
func (r Result) IsZero() bool { return r.report == nil }

// MarshalJSON writes the report itself.
func (r Result) MarshalJSON() ([]byte, error) { return json.Marshal(r.report) }

// Schema is one of those of the reports.
func (Result) Schema(r huma.Registry) *huma.Schema {
	s := &huma.Schema{Description: "By the job's kind."}
	for _, report := range reports() {
		s.AnyOf = append(s.AnyOf, r.Schema(report, true, ""))
	}
	return s
}

// JobList is one page of jobs.
type JobList struct {
	Jobs []Job  `json:"jobs"`
	Next string `json:"next" doc:"The cursor of the next page, or empty."`
}

// JobPath names a job.
type JobPath struct {
	ID string `path:"id" maxLength:"64" example:"01KB2M6Q7T9S3V5X8Y0Z1A2B3C" doc:"The job's id."`
}

// cancelWithin is how long the answer to a cancellation waits for the job's end.
const cancelWithin = 5 * time.Second

func (s *Server) describeJobs() {
	register(s, route{id: "listJobs", method: http.MethodGet, path: "/v1/jobs", tag: "work", summary: "The jobs of the caller, and those on its sites, newest first",
		description: "Jobs are kept for a day after their end, not many, and not across a restart of the service."},
		func(_ context.Context, c *caller, in *struct {
			Paging
			State string `query:"state" enum:"running,done,failed,cancelled"`
		}) (*bodied[JobList], error) {
			list := s.jobsOf(c)
			list = slices.DeleteFunc(list, func(j *job) bool {
				state, _ := j.standing()
				return in.State != "" && in.State != state
			})
			page, next, err := pageOf(in.Paging, "jobs", list, func(j *job) string { return j.id }, descending)
			if err != nil {
				return nil, err
			}
			l := JobList{Jobs: []Job{}, Next: next}
			for _, j := range page {
				l.Jobs = append(l.Jobs, s.show(c, j))
			}
			return &bodied[JobList]{l}, nil
		})
	register(s, route{id: "getJob", method: http.MethodGet, path: "/v1/jobs/{id}", tag: "work", summary: "One job", kindOf: kindOf{waits: true},
		description: "With wait the answer comes when the job has ended, or after so many seconds."},
		func(ctx context.Context, c *caller, in *struct {
			JobPath
			Wait int `query:"wait" minimum:"0" maximum:"60" doc:"How many seconds to wait for its end."`
		}) (*bodied[Job], error) {
			j, err := s.jobOf(c, in.ID)
			if err != nil {
				return nil, err
			}
			if in.Wait > 0 {
				ctx, cancel := context.WithTimeout(ctx, time.Duration(in.Wait)*time.Second)
				defer cancel()
				j.wait(ctx)
			}
			return &bodied[Job]{s.show(c, j)}, nil
		})
	register(s, route{id: "cancelJob", method: http.MethodDelete, path: "/v1/jobs/{id}", tag: "work", summary: "Cancel a job",
		description: "What it has begun is put back first; the answer may still say running. To cancel one that has ended does nothing. An owner cancels what it began itself."},
		func(ctx context.Context, c *caller, in *JobPath) (*bodied[Job], error) {
			j, err := s.jobOf(c, in.ID)
			if err != nil {
				return nil, err
			}
			if c.role != Admin && j.key != c.key {
				return nil, problem("not-permitted", "the job was begun by somebody else", "ask who began it, or an administrator")
			}
			j.stop()
			ctx, cancel := context.WithTimeout(ctx, cancelWithin)
			defer cancel()
			j.wait(ctx)
			return &bodied[Job]{s.show(c, j)}, nil
		})
}

// jobsOf are those that the caller may see, the newest first.
func (s *Server) jobsOf(c *caller) []*job {
	return slices.DeleteFunc(s.jobs.all(), func(j *job) bool { return !c.owns(j.site) })
}

func (s *Server) jobOf(c *caller, id string) (*job, error) {
	for _, j := range s.jobsOf(c) {
		if j.id == id {
			return j, nil
		}
	}
	return nil, problem("not-found", "there is no such job; jobs are not kept for long", "GET /v1/jobs lists the jobs")
}

// show is a job as the caller may see it.
func (s *Server) show(c *caller, j *job) Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := Job{ID: j.id, Kind: j.kind, Site: j.site, State: j.state, By: j.by, Created: j.created, Ended: j.ended}
	if c.role != Admin && j.key != c.key {
		v.By = "an administrator"
	}
	if j.result != nil {
		v.Result = Result{clean(c.blind, j.result)}
	}
	if j.err != nil {
		v.Error = c.problem(j.err)
	}
	return v
}
