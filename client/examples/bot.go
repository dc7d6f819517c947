// A whole bot in Go, with the standard library alone, one job at a time:
//
//	JOBSITE_URL=http://127.0.0.1:8000 JOBSITE_TOKEN=jsb_… go run client/examples/bot.go
//
// It takes the kinds of the conformance suite. Put your own into kinds and handle.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	mathrand "math/rand"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

var kinds = []string{"conformance.echo", "conformance.fail", "conformance.sleep"}

// How long a job may go on after SIGTERM.
const grace = 3 * time.Second

var dice = mathrand.New(mathrand.NewSource(time.Now().UnixNano()))

type job struct {
	ID       int64           `json:"id"`
	Kind     string          `json:"kind"`
	Attempt  int64           `json:"attempt"`
	Payload  json.RawMessage `json:"payload"`
	LeaseFor float64         `json:"lease_for"`
}

// An error after which no other attempt helps.
type giveUp struct{ error }

// The handler. It ends when ctx does: the lease was lost, or the process stops.
func handle(ctx context.Context, j job) (any, error) {
	var payload struct {
		Error   string
		Retry   bool
		Seconds float64
		File    string
	}
	_ = json.Unmarshal(j.Payload, &payload)
	switch j.Kind {
	case "conformance.echo":
		return j.Payload, nil
	case "conformance.fail":
		if payload.Retry {
			return nil, errors.New(payload.Error)
		}
		return nil, giveUp{errors.New(payload.Error)}
	case "conformance.sleep":
		file, err := os.OpenFile(payload.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		fmt.Fprintf(file, "begin %d %d\n", j.ID, j.Attempt)
		for left := payload.Seconds; left > 0; left -= 0.1 {
			if sleep(ctx, 100*time.Millisecond) != nil {
				return nil, ctx.Err()
			}
			fmt.Fprintf(file, "work %d %d\n", j.ID, j.Attempt)
		}
		return map[string]float64{"slept": payload.Seconds}, nil
	}
	return nil, giveUp{errors.New("this bot knows no kind " + j.Kind)}
}

// What any answer may have. Status: 0 where none came.
type answer struct {
	Status     int           `json:"-"`
	RetryAfter time.Duration `json:"-"`
	Code       string        `json:"code"`
	Restart    bool          `json:"restart"`
	Jobs       []job         `json:"jobs"`
	Lost       [][2]int64    `json:"lost"`
	Warnings   []string      `json:"warnings"`
}

type bot struct {
	instance, identity string
	restart            bool
	stop               context.CancelFunc
}

// One try.
func (b *bot) call(ctx context.Context, path string, body any, timeout time.Duration) answer {
	ctx, done := context.WithTimeout(ctx, timeout)
	defer done()
	var got answer
	text, err := json.Marshal(body)
	if err != nil {
		log.Fatalf("%s: %v", path, err)
	}
	url := os.Getenv("JOBSITE_URL") + "/api/v1/" + path
	request, err := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(text))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("JOBSITE_TOKEN"))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Bot-Instance", b.instance)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return got
	}
	defer response.Body.Close()
	// Where it broke off, nobody knows what was done.
	if json.NewDecoder(response.Body).Decode(&got) != nil && response.StatusCode == 200 {
		return answer{}
	}
	got.Status = response.StatusCode
	after, _ := strconv.ParseFloat(response.Header.Get("Retry-After"), 64)
	got.RetryAfter = seconds(after)
	b.obey(got)
	return got
}

// An answer of any call may end the process, or ask for a restart.
func (b *bot) obey(got answer) {
	switch {
	case got.Status == 401:
		log.Print("The token is refused.")
		os.Exit(77)
	case got.Status == 409 && got.Code == "instance_replaced":
		log.Print("A newer process has taken over.")
		os.Exit(76)
	case got.Restart && !b.restart:
		log.Print("An operator asked for a restart.")
		b.restart = true
		b.stop()
	}
}

// Repeat a call until it is answered, from 0.5 s doubling to 15 s. For what may be repeated alone.
func (b *bot) untilAnswered(path string, body any, tries int) answer {
	pause := 500 * time.Millisecond
	for {
		got := b.call(context.Background(), path, body, 10*time.Second)
		tries--
		again := got.Status == 0 || got.Status == 408 || got.Status == 429 || got.Status >= 500
		if !again || tries == 0 {
			return got
		}
		log.Printf("%s: no answer (%d), will try again", path, got.Status)
		_ = sleep(context.Background(), pauseFor(got, pause))
		if pause *= 2; pause > 15*time.Second {
			pause = 15 * time.Second
		}
	}
}

// After a lost claim it says hello once more, as a new instance that holds nothing: what was given goes back.
func (b *bot) hello() {
	instance := b.identity + "-" + strconv.Itoa(os.Getpid()) + "-" + random(6)
	body := map[string]any{"instance": instance, "identity": b.identity, "kinds": kinds, "holds": []int{}}
	got := b.untilAnswered("hello", body, 1000)
	if got.Status != 200 {
		log.Printf("hello was refused: %d %s", got.Status, got.Code)
		os.Exit(77)
	}
	b.instance = instance
	for _, warning := range got.Warnings {
		log.Print(warning)
	}
}

func (b *bot) work(stopping context.Context, j job) {
	log.Printf("Job %d, attempt %d: claimed.", j.ID, j.Attempt)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	var result any
	var failed error
	go func() {
		defer close(ended)
		result, failed = handle(ctx, j)
	}()
	// By a clock that nobody sets, and never by comparing deadline_at with this machine's.
	beat, ask := time.NewTicker(seconds(math.Max(1, math.Min(30, j.LeaseFor/3)))), time.NewTicker(5*time.Second)
	defer beat.Stop()
	defer ask.Stop()
	path := fmt.Sprintf("jobs/%d/", j.ID)
	stop, late := stopping.Done(), (<-chan time.Time)(nil)
	for {
		lost := false
		select {
		case <-beat.C:
			got := b.call(ctx, path+"heartbeat", map[string]any{"attempt": j.Attempt}, 5*time.Second)
			lost = got.Status == 404 || got.Status == 409
		case <-ask.C:
			got := b.call(ctx, "heartbeat", map[string]any{"holds": [][2]int64{{j.ID, j.Attempt}}}, 5*time.Second)
			lost = len(got.Lost) > 0
		case <-stop:
			stop, late = nil, time.After(grace)
		case <-late:
			lost = true
		case <-ended:
			b.report(path, j, result, failed)
			return
		}
		if lost || b.restart {
			log.Printf("Job %d, attempt %d: stopped.", j.ID, j.Attempt)
			cancel()
			<-ended
			return
		}
	}
}

func (b *bot) report(path string, j job, result any, err error) {
	var got answer
	if err == nil {
		got = b.untilAnswered(path+"complete", map[string]any{"attempt": j.Attempt, "result": result}, 100)
	} else {
		_, final := err.(giveUp)
		got = b.untilAnswered(path+"fail", map[string]any{"attempt": j.Attempt, "error": err.Error(), "retry": !final}, 100)
	}
	log.Printf("Job %d, attempt %d: reported (%d).", j.ID, j.Attempt, got.Status)
}

func main() {
	stopping, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	b := &bot{stop: stop}
	b.identity, _ = os.Hostname()
	// A claim that was sent a moment ago arrives before goodbye does.
	claiming, end := context.WithCancel(context.Background())
	go func() {
		<-stopping.Done()
		time.Sleep(200 * time.Millisecond)
		end()
	}()
	b.hello()
	idle, trouble := 50*time.Millisecond, 500*time.Millisecond
	for stopping.Err() == nil {
		// The client's time-out is longer than wait.
		got := b.call(claiming, "claim", map[string]any{"kinds": kinds, "wait": 20}, 30*time.Second)
		switch {
		case got.Status == 200 && len(got.Jobs) > 0:
			b.work(stopping, got.Jobs[0])
			idle, trouble = 50*time.Millisecond, 500*time.Millisecond
		case got.Status == 200:
			_ = sleep(stopping, pauseFor(got, idle))
			if trouble = 500 * time.Millisecond; idle < time.Second {
				idle *= 2
			}
		case stopping.Err() != nil:
		case got.Status == 408 || got.Status == 429 || got.Status == 503 && got.Code != "outcome_unknown":
			_ = sleep(stopping, pauseFor(got, 5*time.Second))
		default:
			// It may have given a job that nobody knows of.
			_ = sleep(stopping, pauseFor(got, trouble))
			if trouble < 8*time.Second {
				trouble *= 2
			}
			b.hello()
		}
	}
	b.untilAnswered("goodbye", map[string]string{"instance": b.instance}, 3)
	log.Print("Goodbye.")
	if b.restart {
		os.Exit(75)
	}
}

// As long as Retry-After asks for, or as given; with a random time more, so that not all bots come back at once.
func pauseFor(got answer, usual time.Duration) time.Duration {
	if got.RetryAfter > 0 {
		return got.RetryAfter + time.Duration(dice.Int63n(int64(time.Second)))
	}
	return usual/2 + time.Duration(dice.Int63n(int64(usual)))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
