package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys"
)

// slowKeys is a key service that takes a while to say whether it would sign.
type slowKeys struct {
	takes time.Duration
	err   error
	asked atomic.Int32
}

func (s *slowKeys) Ready(ctx context.Context) error {
	s.asked.Add(1)
	select {
	case <-time.After(s.takes):
		return s.err
	case <-ctx.Done():
		return keys.ErrUnavailable
	}
}

func TestReadinessAsksTheKeyServiceOnceForAllProbesOfTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &slowKeys{takes: time.Second, err: keys.ErrSealed}
		k := newKeyReadiness(service, slog.New(slog.DiscardHandler))
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if err := k.ready(t.Context()); err == nil || !strings.Contains(err.Error(), "SG-KEY-SEALED") {
					t.Errorf("sealed: %v", err)
				}
			})
		}
		all.Wait()
		service.err = nil
		if err := k.ready(t.Context()); err == nil || service.asked.Load() != 1 {
			t.Errorf("asked %d times: %v", service.asked.Load(), err)
		}
		time.Sleep(readyKeep)
		if err := k.ready(t.Context()); err != nil || service.asked.Load() != 2 {
			t.Errorf("asked %d times: %v", service.asked.Load(), err)
		}
	})
}

func TestAProbeDoesNotHangWithTheKeyServiceAndIsNotReadyMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &slowKeys{takes: time.Hour}
		k := newKeyReadiness(service, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		from := time.Now()
		if err := k.ready(ctx); err == nil || time.Since(from) != time.Second {
			t.Errorf("%v after %v", err, time.Since(from))
		}
		if err := k.ready(t.Context()); err == nil || time.Since(from) != readyWait || service.asked.Load() != 1 {
			t.Errorf("a patient probe: %v after %v, asked %d times", err, time.Since(from), service.asked.Load())
		}
	})
}

func TestWhatAProbeReadsNamesTheCodeAndNoHost(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.Join(keys.ErrSealed, errors.New("https://vault-1.example")), "SG-KEY-SEALED"},
		{keys.ErrLocked, "SG-KEY-LOCKED"},
		{errors.New("https://vault-1.example does not answer"), "SG-KEY-UNAVAILABLE"},
	} {
		if got := keyReason(c.err).Error(); !strings.Contains(got, c.want) || strings.Contains(got, "example") {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}

func TestRolesThatSignAtEachRequestAreNotReadyWithoutTheKeyService(t *testing.T) {
	for _, c := range []struct {
		roles []config.Role
		want  bool
	}{
		{[]config.Role{config.RoleGateway}, false},
		{[]config.Role{config.RoleSealer}, true},
		{[]config.Role{config.RoleTSA}, true},
		{[]config.Role{config.RoleGateway, config.RoleSealer}, true},
		{nil, false},
	} {
		if got := signs(&config.File{Roles: c.roles}); got != c.want {
			t.Errorf("%v: %v", c.roles, got)
		}
	}
}
