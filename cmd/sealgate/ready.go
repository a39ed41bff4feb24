package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/vault"
)

// Bounds of asking the key service whether it would sign.
const (
	readyKeep = 2 * time.Second // an answer holds so long, whoever asks and how often
	readyWait = 5 * time.Second // one question; a service that hangs is not ready
)

// dependsAnswer is nil when what the roles of this process depend on does: the
// state store, the key service for those that sign at each request, and a list
// for each CA whose revocations are published. A gateway alone goes on without
// the key service, for its calls need no signature; a publisher of revocation
// does while its lists last.
func (r *roles) dependsAnswer(ctx context.Context) error {
	return errors.Join(r.storeAnswers(ctx), r.keys.ready(ctx), r.publishes())
}

// signs reports whether a role of this process signs at each request.
func signs(c *config.File) bool { return c.Has(config.RoleSealer) || c.Has(config.RoleTSA) }

// readier is a key service that can tell whether it would sign now.
type readier interface {
	Ready(ctx context.Context) error
}

// keyReadiness asks the key service on behalf of all probes: one question at a
// time, at most one in readyKeep, so that probes are no load on Vault and none
// of them hangs with it. nil is always ready.
type keyReadiness struct {
	service readier
	log     *slog.Logger

	mu     sync.Mutex
	asking chan struct{} // a question is under way; closed when it is answered
	asked  time.Time     // when the last one was answered
	answer error         // for people: a code and what it means
}

func newKeyReadiness(service readier, log *slog.Logger) *keyReadiness {
	return &keyReadiness{service: service, log: log, answer: errKeysUnknown}
}

var errKeysUnknown = keyReason(keys.ErrUnavailable)

// ready is nil when the key service would sign now. When it does not tell
// before ctx ends it is not ready.
func (k *keyReadiness) ready(ctx context.Context) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	if k.asking == nil {
		if !k.asked.IsZero() && time.Since(k.asked) < readyKeep {
			defer k.mu.Unlock()
			return k.answer
		}
		k.asking = make(chan struct{})
		go k.ask(context.WithoutCancel(ctx)) // the answer is for all, and not for the one whose probe gave up
	}
	asking := k.asking
	k.mu.Unlock()
	select {
	case <-asking:
	case <-ctx.Done():
		return errKeysUnknown
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.answer
}

func (k *keyReadiness) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	err := k.service.Ready(ctx)
	answer := keyReason(err)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !sameText(answer, k.answer) || k.asked.IsZero() {
		if err != nil {
			k.log.WarnContext(ctx, "the key service is not ready", "error", err.Error())
		} else {
			k.log.InfoContext(ctx, "the key service is ready")
		}
	}
	k.answer, k.asked = answer, time.Now()
	close(k.asking)
	k.asking = nil
}

// keyReason is what a probe is told: the code and its meaning. The error itself
// may name hosts.
func keyReason(err error) error {
	if err == nil {
		return nil
	}
	why := keys.ErrUnavailable
	if e, ok := errors.AsType[*keys.Error](err); ok {
		why = e
	}
	return errors.New("keys: " + why.Code() + ": " + why.Error())
}

func sameText(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Error() == b.Error()
}

// alarming is a key service that raises alarms.
type alarming interface {
	Alarms() []vault.AlarmState
}

// writeMetrics adds to the metrics what is not about calls.
func (r *roles) writeMetrics(w io.Writer) {
	r.writeAlarms(w)
	r.writeRevocation(w)
}

// writeAlarms adds the alarms of the key service to the metrics, so that a
// monitoring system sees them without reading logs.
func (r *roles) writeAlarms(w io.Writer) {
	a, ok := r.site.keys.(alarming)
	if !ok {
		return
	}
	// A reader that went away shows at the next write; there is nobody to tell.
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	all := a.Alarms()
	p("# HELP sealgate_alarm Whether an alarm lasts now; its runbook is docs/handbook/keys-vault.md.\n# TYPE sealgate_alarm gauge\n")
	for _, s := range all {
		on := 0
		if s.On {
			on = 1
		}
		p("sealgate_alarm{alarm=%q} %d\n", s.Alarm, on)
	}
	p("# HELP sealgate_alarms_total How often an alarm was raised.\n# TYPE sealgate_alarms_total counter\n")
	for _, s := range all {
		p("sealgate_alarms_total{alarm=%q} %d\n", s.Alarm, s.Count)
	}
}
