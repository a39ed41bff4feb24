package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/keys"
)

func (a *answers) write(ctx context.Context, path string, list []*answer) error {
	data, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode answers: %w", err)
	}
	if err := a.storage.Put(ctx, path, data); err != nil {
		return fmt.Errorf("remember answers: %w", err)
	}
	return nil
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

func answerPath(hour int64) string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return AnswerPrefix + strconv.FormatInt(hour, 10) + "-" + hex.EncodeToString(b[:])
}

func answerHour(path string) (int64, bool) {
	hour, _, ok := strings.Cut(strings.TrimPrefix(path, AnswerPrefix), "-")
	n, err := strconv.ParseInt(hour, 10, 64)
	return n, ok && err == nil && n > 0
}

// load reads what storage remembers and deletes what has expired.
func (a *answers) load(ctx context.Context, now time.Time) error {
	a.flush.Lock()
	defer a.flush.Unlock()
	segments, err := a.storage.List(ctx, AnswerPrefix)
	if err != nil {
		return fmt.Errorf("list answers: %w", err)
	}
	byID, small := map[string]*answer{}, map[int64][]string{}
	for _, s := range segments {
		hour, ok := answerHour(s)
		if !ok {
			return fmt.Errorf("%w: an entry is called %.80q", keys.ErrStore, s)
		}
		if outlived(hour, now) {
			if err := a.storage.Delete(ctx, AnswerPrefix+s); err != nil {
				return fmt.Errorf("delete old answers: %w", err)
			}
			continue
		}
		list, err := a.read(ctx, AnswerPrefix+s)
		if err != nil {
			return err
		}
		for _, x := range list {
			byID[x.slot()] = x
		}
		if len(list) < answersPerEntry/2 {
			small[hour] = append(small[hour], AnswerPrefix+s)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replace(byID)
	a.small, a.hour, a.loaded = small, hourOf(now), true
	return nil
}

func (a *answers) read(ctx context.Context, path string) ([]*answer, error) {
	data, err := a.storage.Get(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("read answers: %w", err)
	}
	var list []*answer
	if err := json.Unmarshal(data, &list); err != nil || slices.ContainsFunc(list, (*answer).malformed) {
		return nil, fmt.Errorf("%w: %s is not readable", keys.ErrStore, path)
	}
	return list, nil
}

// outlived reports whether all answers of an hour have expired.
func outlived(hour int64, now time.Time) bool {
	return now.After(time.Unix((hour+1)*3600, 0).Add(AnswerLife))
}

// tidy merges the small entries of the hour and, once an hour, deletes what has
// expired. It runs after the answer is durable and under a.flush; what it
// cannot do now it does next time, so its errors cost nothing but space.
func (a *answers) tidy(ctx context.Context, path string, now time.Time) {
	hour, _ := answerHour(path)
	a.small[hour] = append(a.small[hour], path)
	if len(a.small[hour]) >= compactFrom {
		a.merge(ctx, hour)
	}
	if hour == a.hour {
		return
	}
	a.hour = hour
	a.mu.Lock()
	for s, x := range a.byID {
		if x.expired(now) {
			a.drop(s)
		}
	}
	a.mu.Unlock()
	segments, err := a.storage.List(ctx, AnswerPrefix)
	if err != nil {
		return
	}
	for _, s := range segments {
		if h, ok := answerHour(s); ok && outlived(h, now) {
			delete(a.small, h)
			_ = a.storage.Delete(ctx, AnswerPrefix+s) // again next hour
		}
	}
}

// merge replaces the small entries of an hour by full ones. The new entry is
// durable before an old one is deleted; a crash between leaves the same answer
// twice, which says nothing new.
func (a *answers) merge(ctx context.Context, hour int64) {
	var all []*answer
	old := a.small[hour]
	for _, p := range old {
		list, err := a.read(ctx, p)
		if err != nil {
			return
		}
		all = append(all, list...)
	}
	var left []string
	for part := range slices.Chunk(all, answersPerEntry) {
		p := answerPath(hour)
		if a.write(ctx, p, part) != nil {
			return
		}
		if len(part) < answersPerEntry/2 {
			left = append(left, p)
		}
	}
	for _, p := range old {
		_ = a.storage.Delete(ctx, p) // a leftover holds nothing new
	}
	a.small[hour] = left
}
