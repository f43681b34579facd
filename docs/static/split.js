// The words of a query: pairs of Chinese characters, as Search in conf.py has them.
function splitQuery(query) {
  const words = [];
  for (const [word] of query.matchAll(/[\u4e00-\u9fff]+|[\p{L}\p{N}_\p{Emoji_Presentation}]+/gu)) {
    const chinese = word.match(/^[\u4e00-\u9fff]{2,}/);
    if (chinese) for (let i = 0; i < word.length - 1; i++) words.push(word.slice(i, i + 2));
    else words.push(word);
  }
  return words;
}
