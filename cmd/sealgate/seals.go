package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
	"github.com/sealgate/sealgate/seal/stamp"
)

// runSeals makes seals, lists them, and takes them out of use.
func runSeals(ctx context.Context, e env, args []string) error {
	return act(ctx, e, "seals", args, action{"make", sealsMake}, action{"list", sealsList},
		action{"suspend", sealsSuspend}, action{"restore", sealsRestore}, action{"cancel", sealsCancel})
}

// newSeal describes a seal to be made.
type newSeal struct {
	name       string // what requests name it by
	id, title  string // esID, name written in the seal
	makerKey   string // key of purpose seal-maker, with its certificate
	key        string // key of purpose seal, with its certificate
	picture    []byte // PNG
	width      int    // millimetres
	height     int
	from, till time.Time
}

// make builds the seal, has the maker sign it, stores it and records it.
// The maker's key is asked of makers, the signer's of the site's own keys.
func (n newSeal) make(ctx context.Context, s *site, makers keyService) (*store.Seal, error) {
	all, err := s.store.Seals(ctx)
	if err != nil {
		return nil, undecided(err)
	}
	for _, have := range all {
		if have.Name == n.name || have.ID == n.id {
			return nil, no(fmt.Errorf("已有同名或同编码的印章 there is such a seal: %s %s", have.Name, have.ID), "sealgate seals list -config FILE")
		}
	}
	maker, err := pinnedLive(ctx, makers, n.makerKey)
	if err != nil {
		return nil, err
	}
	signer, err := pinnedLive(ctx, s.keys, n.key)
	if err != nil {
		return nil, err
	}
	if end := signer.Certificate().NotAfter; n.till.After(end) {
		n.till = end
	}
	esl, err := seal.Make(ctx, seal.MakeSpec{ID: n.id, Name: n.title, Kind: seal.Organisation, Created: n.from, NotBefore: n.from, NotAfter: n.till,
		Signers: []*gm.Certificate{signer.Certificate()}, Maker: maker.Certificate(), Picture: n.picture, Width: int64(n.width), Height: int64(n.height)}, maker)
	if _, ok := errors.AsType[*keys.Error](err); ok {
		return nil, keyError(err)
	}
	if err != nil {
		return nil, no(err)
	}
	record := audit.Record{Type: "admin.seal-made", Actor: audit.Actor{Kind: "service", ID: s.config.Node}, Object: audit.Object{Kind: "seal", ID: n.id}, Outcome: audit.OK}
	if _, err := s.ledger.Append(ctx, record); err != nil {
		return nil, undecided(err)
	}
	out := store.Seal{Name: n.name, ID: n.id, ESL: esl, KeyName: n.key, KeyVersion: signer.Version().Number, Certificate: signer.Certificate().Raw, Created: n.from}
	if err := s.store.PutSeal(ctx, out); err != nil {
		return nil, undecided(err)
	}
	return &out, nil
}

func pinnedLive(ctx context.Context, ks keyService, name string) (*keys.Pinned, error) {
	n, err := keys.ParseName(name)
	if err != nil {
		return nil, keyError(err)
	}
	p, err := keys.PinLive(ctx, ks.Key(n))
	if err != nil {
		return nil, keyError(fmt.Errorf("key %s: %w", name, err))
	}
	if p.Certificate() == nil {
		return nil, keyError(fmt.Errorf("key %s: %w", name, keys.ErrCertificate))
	}
	return p, nil
}

func sealsMake(ctx context.Context, e env, args []string) (err error) {
	fs := newFlags("seals make")
	path := fs.String("config", "", "`FILE` 配置文件 configuration file")
	n := newSeal{}
	fs.StringVar(&n.id, "id", "", "`ID` 印章编码 number of the seal (esID), ASCII")
	fs.StringVar(&n.title, "title", "", "`TEXT` 印文 name written in the seal")
	fs.StringVar(&n.makerKey, "maker", "maker", "`KEY` 制章人密钥 key of the seal maker")
	fs.StringVar(&n.key, "key", "", "`KEY` 签章人密钥 key of the signer; the seal's own name when left out")
	years := fs.Int("years", 5, "`N` 年限 term in years, bounded by the signer's certificate")
	picture := fs.String("picture", "", "`FILE` PNG 图片 PNG file; drawn when left out")
	diameter := fs.Int("diameter", 42, "`MM` 直径 diameter in mm of a drawn or round seal")
	line := fs.String("line", "", "`TEXT` 五角星下的文字 line below the star of a drawn seal")
	star := fs.Bool("star", true, "中心五角星 star in the centre of a drawn seal")
	out := fs.String("o", "", "`FILE` 另存印章文件 also write the seal to this file (.esl)")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if *years < 1 || *years > 100 {
		return usage(fmt.Errorf("-years %d: 应为 want 1 … 100", *years))
	}
	if len(operands) != 1 || n.id == "" || n.title == "" {
		return usage(errors.New("缺少 missing -id, -title or NAME"), "sealgate seals make -config FILE -id 22000000000002 -title 省人社厅 NAME")
	}
	if *out != "" {
		if err := writable(*out); err != nil {
			return usage(err)
		}
	}
	n.name, n.width, n.height = operands[0], *diameter, *diameter
	n.key = or2(n.key, n.name)
	if *picture != "" {
		if n.picture, err = readPicture(*picture); err != nil {
			return usage(err)
		}
	} else {
		spec := stamp.Spec{Shape: stamp.Round, Diameter: *diameter, DPI: 600, Name: n.title, Line: *line}
		if *star {
			spec.Centre = stamp.Star
		}
		if n.picture, err = stamp.Draw(spec); err != nil {
			return usage(err)
		}
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	s, err := openSite(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	showBanner(e.stderr, c)
	n.from = time.Now().Truncate(time.Second)
	n.till = n.from.AddDate(*years, 0, 0)
	made, err := n.make(ctx, s, s.keys)
	if err != nil {
		return err
	}
	if *out != "" {
		if err := durable.WriteFile(*out, made.ESL, 0o644); err != nil {
			return undecided(err)
		}
	}
	fmt.Fprintf(e.stdout, "%-24s %s %s\n", made.Name, made.ID, n.title)
	return nil
}

// Bounds of a seal's picture.
const (
	maxPicture       = 1 << 20 // bytes
	maxPicturePixels = 4096    // of one side
)

// readPicture reads a PNG and decodes the whole of it: what is sealed into
// every document must be a picture that can be shown.
func readPicture(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPicture+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPicture {
		return nil, fmt.Errorf("%s: 超过 longer than %d bytes", path, maxPicture)
	}
	bounds, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: 不是 PNG not a PNG: %w", path, err)
	}
	if bounds.Width > maxPicturePixels || bounds.Height > maxPicturePixels {
		return nil, fmt.Errorf("%s: 超过 larger than %d pixels a side", path, maxPicturePixels)
	}
	r := bytes.NewReader(data)
	if _, err := png.Decode(r); err != nil {
		return nil, fmt.Errorf("%s: PNG 已损坏 is damaged: %w", path, err)
	}
	if r.Len() > 0 {
		return nil, fmt.Errorf("%s: PNG 后有多余的 %d 字节 bytes follow the picture", path, r.Len())
	}
	return data, nil
}

func sealsList(ctx context.Context, e env, args []string) (err error) {
	fs := newFlags("seals list")
	path := fs.String("config", "", "`FILE` 配置文件 configuration file")
	asJSON := fs.Bool("json", false, "每行一个 JSON one JSON object a line")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		return usage(fmt.Errorf("多余的参数 unexpected operand %q", operands[0]))
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	if err := needState(c); err != nil {
		return err
	}
	st, err := store.Open(ctx, c.State.SQLite)
	if err != nil {
		return undecided(err, "服务正在运行时用其接口 GET /api/v1/seals while the service runs ask its API")
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	all, err := st.Seals(ctx)
	if err != nil {
		return undecided(err)
	}
	for _, stored := range all {
		parsed, err := ses.ParseSeal(stored.ESL)
		if err != nil {
			return no(fmt.Errorf("seal %s: %w", stored.Name, err))
		}
		p := parsed.Info.Property
		if *asJSON {
			if err := json.NewEncoder(e.stdout).Encode(map[string]any{"name": stored.Name, "id": stored.ID, "title": p.Name, "state": stored.State,
				"key": stored.KeyName, "key_version": stored.KeyVersion, "not_before": day(p.NotBefore), "not_after": day(p.NotAfter)}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(e.stdout, "%-24s %-16s %-10s %s … %s %s\n", stored.Name, stored.ID, stored.State, day(p.NotBefore), day(p.NotAfter), p.Name)
	}
	return nil
}
