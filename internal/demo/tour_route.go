package demo

import (
	"fmt"
	"os"
	"strings"

	"github.com/sealgate/sealgate/gateway/catalog"
)

// upstreamURL is where a call leads, as the catalogue on disk says.
func (t *Tour) upstreamURL(c Call) (string, error) {
	data, err := os.ReadFile(t.Site.Path(CatalogueFile))
	if err != nil {
		return "", err
	}
	snapshot, err := catalog.Load(data)
	if err != nil {
		return "", err
	}
	path, query, _ := strings.Cut(c.Target, "?")
	m, ok := snapshot.Match("localhost", "GET", path)
	if !ok {
		return "", fmt.Errorf("no interface at %s", path)
	}
	u := m.Interface.Upstream
	url := u.URL.Scheme + "://" + u.URL.Host + m.UpstreamPath()
	if query != "" {
		url += "?" + query
	}
	return url, nil
}
